"""What people type into a search: words and "phrases" that must all be there, and -words that must not. Pure.

    timeout card              both words, anywhere in a row's text, without regard to case
    "connection refused"      these characters one after the other
    timeout -refund           the first and not the second; NOT refund says the same, AND between words says nothing

A word is also found inside a longer one (`timeout` in `TimeoutError`), unless there is a digit in it: numbers and ids
are sought whole, so `42` does not find 1423. In quotes anything is found inside anything.
"""

import re
from dataclasses import dataclass

from logsvc.errors import BadRequest
from logsvc.filters import LONGEST_TEXT

MOST_TERMS = 20

_PIECE = re.compile(r'(-?)"([^"]*)"?|(\S+)')
_WORD = re.compile(r"[0-9a-z\x80-\U0010ffff]+")
"""What ClickHouse takes for one word: ASCII letters and digits, and all that is not ASCII."""
_BEGINS, _ENDS = r"(?:^|[^0-9a-z\x80-\x{10FFFF}])", r"(?:$|[^0-9a-z\x80-\x{10FFFF}])"


@dataclass(frozen=True)
class Term:
    """A word or phrase, in small letters. is_whole: it is no part of longer words. is_wanted: it must be there."""

    text: str
    is_whole: bool = False
    is_wanted: bool = True

    @property
    def words(self) -> list[str]:
        """The whole words it consists of; those at the ends of a phrase may be parts, so they are left out there."""
        found = list(_WORD.finditer(self.text))
        if not self.is_whole:
            found = [word for word in found if word.start() > 0 and word.end() < len(self.text)]
        return [word.group() for word in found]

    @property
    def parts(self) -> list[str]:
        """The words at the ends of a phrase, which may be parts of longer ones."""
        return [] if self.is_whole else [word for word in _WORD.findall(self.text) if word not in self.words]

    @property
    def pattern(self) -> str:
        """The expression (RE2) that finds a whole term in small letters."""
        return f"{_BEGINS}{re.escape(self.text)}{_ENDS}"

    def is_in(self, text: str) -> bool:
        """Whether it occurs in a text of small letters."""
        if not self.is_whole:
            return self.text in text
        at = text.find(self.text)
        while at >= 0:
            end = at + len(self.text)
            if not (_WORD.match(text[at - 1 : at]) or _WORD.match(text[end : end + 1])):
                return True
            at = text.find(self.text, at + 1)
        return False


def parse(q: str | None) -> tuple[Term, ...]:
    """Read a search. Raises BadRequest if it is too long, or asks for what we cannot do."""
    if not q:
        return ()
    if len(q) > LONGEST_TEXT:
        raise BadRequest(f"q: at most {LONGEST_TEXT} characters")
    terms: list[Term] = []
    is_wanted = True
    for minus, phrase, word in _PIECE.findall(q):
        if word in ("AND", "NOT"):
            is_wanted = is_wanted and word == "AND"
            continue
        if word == "OR":
            raise BadRequest('q: all words must be there, OR is not known; to look for the word itself write "OR"')
        term = _term(word) if word else Term(phrase.lower(), is_wanted=not minus)
        if term.text:
            terms.append(term if is_wanted else Term(term.text, term.is_whole, False))
        is_wanted = True
    if len(terms) > MOST_TERMS:
        raise BadRequest(f"q: at most {MOST_TERMS} words and phrases")
    return tuple(terms)


def _term(word: str) -> Term:
    is_wanted = not word.startswith("-") or word == "-"
    text = (word if is_wanted else word[1:]).lower()
    return Term(text, any(character.isdecimal() for character in text), is_wanted)


def matches(terms: tuple[Term, ...], text: str) -> bool:
    """Whether a text of small letters is what the search asks for."""
    return all(term.is_in(text) == term.is_wanted for term in terms)
