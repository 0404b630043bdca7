"""Telegram's HTML, safely: text is made visible and cut first, escaped and tagged after (pure)."""

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence

MESSAGE_UNITS = 4096
"""UTF-16 units a message may have after its entities are parsed. Source: core.telegram.org/bots/api#sendmessage."""

CUT = "…"
_TAG = re.compile(r"<[^>]*>")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ISOLATE, _POP = "\u2068", "\u2069"
_RTL = frozenset(("R", "AL", "AN"))


def units(text: str) -> int:
    """Length as Telegram counts it: UTF-16 code units."""
    return len(text) + sum(1 for char in text if ord(char) > 0xFFFF)


def plain_units(markup: str) -> int:
    """Length of our own HTML once Telegram has parsed it."""
    return units(html.unescape(_TAG.sub("", markup)))


def clip(text: str, most: int) -> str:
    """Cut to at most `most` UTF-16 units, its mark included; never inside a character or before an accent."""
    if units(text) <= most:
        return text
    kept: list[str] = []
    left = most - units(CUT)
    for char in text:
        left -= units(char)
        if left < 0:
            break
        kept.append(char)
    rest = text[len(kept)]
    while kept and (unicodedata.combining(rest) or rest in "\u200d\ufe0f" or kept[-1] == "\u200d"):
        rest = kept.pop()
    return "".join(kept) + CUT


def visible(text: str) -> str:
    """One line without anything that hides, breaks or turns the text around it."""
    return "".join("\ufffd" if _is_unsafe(char) else " " if char in "\n\t" else char for char in text)


def _is_unsafe(char: str) -> bool:
    return char in _BIDI or (unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t")


def name(text: str, most: int = 60) -> str:
    """A queue, job or source name: visible, cut, escaped; one written right to left cannot turn the line around."""
    shown = clip(visible(text), most)
    if any(unicodedata.bidirectional(char) in _RTL for char in shown):
        shown = f"{_ISOLATE}{shown}{_POP}"
    return html.escape(shown, quote=False)


def prose(text: str, most: int) -> str:
    """A longer text such as an error: lines kept, the rest as in `name`."""
    lines = [visible(line) for line in text.strip().splitlines() if line.strip()]
    return html.escape(clip("\n".join(lines), most), quote=False)


def bold(markup: str) -> str:
    """Mark as bold; the argument is escaped already."""
    return f"<b>{markup}</b>"


def code(markup: str) -> str:
    """Mark as code; the argument is escaped already."""
    return f"<code>{markup}</code>"


def pre(markup: str) -> str:
    """Mark as a block of code; the argument is escaped already."""
    return f"<pre>{markup}</pre>"


def fit(lines: Sequence[str], most: int = MESSAGE_UNITS, more: str = "… and {left} more lines") -> str:
    """Join whole lines of markup while they fit, and say how many did not. No tag spans two lines."""
    if plain_units("\n".join(lines)) <= most:
        return "\n".join(lines)
    room = most - units(more) - 8
    kept = _while_they_fit(lines, room)
    return "\n".join([*kept, more.format(left=len(lines) - len(kept))])


def _while_they_fit(lines: Iterable[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        room -= plain_units(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


def plain(markup: str) -> str:
    """Our HTML as text for where nothing parses it, such as the notice of a press."""
    return html.unescape(_TAG.sub("", markup))


def strip_markup(markup: str) -> str:
    """Our HTML as plain text that no parser can refuse; cut to one message."""
    return html.escape(clip(html.unescape(_TAG.sub("", markup)), MESSAGE_UNITS), quote=False)
