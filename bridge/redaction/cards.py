"""Numbers of payment cards: found by their length, their network and their check digit. Pure.

One in ten numbers of such a length and beginning has a card's check digit by chance. So what no network issues is left
alone, 13 digits (times in ms, barcodes), 17 and 18 (ids), and so are digits inside of words, paths and fractions.
"""

import re
from collections.abc import Callable

from bridge.jsontext import ESCAPED

LEAST_DIGITS = 14
_NETWORKS = re.compile(
    r"3[47][0-9]{13}"  # American Express
    r"|30[0-5][0-9]{11}|3[689][0-9]{12}"  # Diners Club
    r"|4[0-9]{15}(?:[0-9]{3})?"  # Visa
    r"|(?:5[0-8]|6[0-9])[0-9]{14}(?:[0-9]{3})?"  # Mastercard, Maestro, Discover, UnionPay
    r"|35[2-8][0-9]{13}"  # JCB
    r"|2[2-7][0-9]{14}"  # Mastercard
)
_ALL_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_RUN, _SPACED, _DASHED = b"0" * LEAST_DIGITS, b"0000 0000", b"0000-0000"
_NUMBER = re.compile(
    rf"(?:(?<![\w./-])|{ESCAPED})(?:"
    r"[2-6][0-9]{13,18}"
    r"|[2-6][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|3[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5}"
    r")(?!\w|[.-][0-9])"
)


def may_hold(text: bytes) -> bool:
    """Whether there is anything of the shape of a card's number at all; said in a tenth of what a search takes."""
    shape = text.translate(_ALL_ZEROS)
    return _RUN in shape or _SPACED in shape or _DASHED in shape


def hide(text: str, hidden: Callable[[re.Match[str]], str]) -> str:
    """The text with what `hidden` says where a card's number stands, in one piece or in groups."""
    if not may_hold(text.encode(errors="replace")):
        return text
    return _NUMBER.sub(lambda found: hidden(found) if is_card(re.sub("[ -]", "", found[0])) else found[0], text)


def is_card(digits: str) -> bool:
    """Whether some network may have issued this number."""
    return _NETWORKS.fullmatch(digits) is not None and _sum(digits) % 10 == 0


def _sum(digits: str) -> int:
    """ISO/IEC 7812-1, annex B (Luhn): every second digit from the right counts twice, with its digits summed."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if at % 2 else 1)
        total += value - 9 if value > 9 else value
    return total
