"""JSON inside a text: found, read, and written anew where something in it was hidden. Pure.

Each bracket may begin some, and one that does not may be read to the end before that shows. So there is a bound to what
is read in vain: the time stays linear in the length of the text. What is not read is left to values.py.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge.jsontext import write

MOST_TRIES = 1000
MOST_READ = 16
"""Times the text's length."""
_BEGIN = re.compile(r'\{\s*+"|\[\s*+["\[{]|"(?=[\[{]|\\{1,8}+")')
"""Of an object, of a list of texts, lists or objects, of a text that holds JSON."""
_decode = json.JSONDecoder(strict=False).raw_decode


@dataclass(slots=True)
class Budget:
    """How often, and how many characters, may yet be read in vain: in a text and all texts inside it."""

    characters: int
    tries: int = MOST_TRIES

    @staticmethod
    def of(text: str) -> "Budget":
        return Budget(MOST_READ * len(text))

    @property
    def is_left(self) -> bool:
        return self.tries > 0 and self.characters > 0

    def spend(self, characters: int) -> None:
        """Take one try off."""
        self.tries, self.characters = self.tries - 1, self.characters - characters


def replace(text: str, hide: Callable[[Any], Any], budget: Budget) -> str:
    """The text with each JSON value as `hide` returns it. What it returns unchanged stays as it was written."""
    kept: list[str] = []
    told = at = 0
    while budget.is_left and (found := _BEGIN.search(text, at)):
        begin, at = found.start(), found.start() + 1
        try:
            value, end = _decode(text, begin)
            hidden = hide(value)
        except json.JSONDecodeError as error:
            budget.spend(_length_read(error, begin))
            continue
        except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
            break
        if hidden is not value:
            kept += text[told:begin], write(hidden)
            told = at = end
        elif isinstance(value, str):  # quotes that happen to hold a bracket
            budget.spend(end - begin)
        else:
            at = end
    return "".join([*kept, text[told:]]) if kept else text


def _length_read(error: json.JSONDecodeError, begin: int) -> int:
    """How much was read until it showed. Of a text without end the error's place is where it began."""
    return (len(error.doc) if error.msg.startswith("Unterminated") else error.pos) - begin
