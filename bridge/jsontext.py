"""JSON as strangers write it: read what any JSON library would have written, or say that it is none.

JavaScript writes half a character (`"\\ud800"`, a message cut inside an emoji) and numbers of any size, which a strict
reader refuses; a hidden secret must not depend on that.
"""

import json
import re
from typing import Any

import msgspec

ESCAPED = r"(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})"
"""Where a pattern stands behind a character that is escaped: the letter before it is of no word."""
_HALF_CHARACTERS = re.compile("[\ud800-\udfff]")


class NotJson(ValueError):
    """The text is no JSON, or nested too deeply to be read."""


def parse(text: str) -> Any:
    """Read JSON text; half characters become U+FFFD. Raises NotJson."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        value = json.loads(text)
        return json.loads(_HALF_CHARACTERS.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def write(value: Any) -> str:
    """What `parse` returned, or a part of it, as compact JSON text."""
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeError, OverflowError, ValueError):
        return _HALF_CHARACTERS.sub("\ufffd", json.dumps(value, ensure_ascii=False, separators=(",", ":")))
