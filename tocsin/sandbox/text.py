"""Text as Telegram counts and trims it: offsets and limits are in UTF-16 code units."""

import re
from typing import Any

Entity = dict[str, Any]
"""A Telegram MessageEntity: type, offset and length in UTF-16 units; url, language or user where the type has one."""

MAX_ENTITIES = 100
"""What stands after the hundredth entity stays plain. Source: MessageLimit of python-telegram-bot."""

_BLOCKS = ("code", "pre")
_INVISIBLE = re.compile("[\r\u2028-\u202e]")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_FOUND = re.compile(
    r"(?P<url>https?://[^\s<>\"]*[^\s<>\".,:;!?')\]}])"
    r"|(?<![\w/<>])(?P<bot_command>/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?)(?![\w/])"
    r"|(?<![\w@])(?P<mention>@[A-Za-z][A-Za-z0-9_]{3,31})(?!\w)"
    r"|(?<!\w)(?P<hashtag>#\w*[^\W\d_]\w*)"
)


def utf16_length(text: str) -> int:
    """Count UTF-16 code units: a character beyond U+FFFF counts twice."""
    return len(text) + sum(1 for character in text if character > "\uffff")


def is_unicode(text: str) -> bool:
    """Tell whether text has no half surrogate pair, so that it can be sent as UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def find_entities(text: str) -> list[Entity]:
    """Find what Telegram marks by itself: links, bot commands, mentions, hashtags."""
    found: list[Entity] = []
    for match in _FOUND.finditer(text):
        offset = utf16_length(text[: match.start()])
        found.append({"type": str(match.lastgroup), "offset": offset, "length": utf16_length(match.group())})
    return found


def normalise(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Make of a text what Telegram shows: control characters away, blanks trimmed at both ends, entities to match.

    Marks inside `code` and `pre` are dropped there; links and commands found in plain text are added; what lies beyond
    the hundredth entity is plain.
    """
    cleaned, kept = _cleaned(text, entities)
    stripped = cleaned.rstrip()
    first = min((each["offset"] for each in kept), default=len(stripped))
    lead = len(stripped) - len(stripped.lstrip(" \n"))
    lead = min(lead, first)
    trimmed = stripped[lead:]
    length = utf16_length(trimmed)
    fitted = [moved for each in kept if (moved := _clipped(each, -lead, length)) is not None]
    marked = _outside_blocks(fitted)
    found = [each for each in find_entities(trimmed) if not any(_overlap(each, other) for other in marked)]
    return trimmed, sorted([*marked, *found], key=lambda each: (each["offset"], -each["length"]))[:MAX_ENTITIES]


def _cleaned(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    cleaned = _CONTROL.sub(" ", text)
    gone = [utf16_length(cleaned[: match.start()]) for match in _INVISIBLE.finditer(cleaned)]
    if not gone:
        return cleaned, entities

    def moved(offset: int) -> int:
        return offset - sum(1 for at in gone if at < offset)

    kept: list[Entity] = []
    for each in entities:
        begin, end = moved(each["offset"]), moved(each["offset"] + each["length"])
        kept.append({**each, "offset": begin, "length": end - begin})
    return _INVISIBLE.sub("", cleaned), kept


def _clipped(entity: Entity, shift: int, length: int) -> Entity | None:
    begin = max(0, entity["offset"] + shift)
    end = min(length, entity["offset"] + entity["length"] + shift)
    return {**entity, "offset": begin, "length": end - begin} if end > begin else None


def _outside_blocks(entities: list[Entity]) -> list[Entity]:
    """Cut other marks away where code stands: code holds no other entity."""
    blocks = [each for each in entities if each["type"] in _BLOCKS]
    outer = [each for each in blocks if not any(each is not other and _holds(other, each) for other in blocks)]
    kept = list(outer)
    for each in entities:
        if each["type"] in _BLOCKS:
            continue
        if "quote" in each["type"]:  # a quote may hold code
            kept.append(each)
            continue
        at, end = each["offset"], each["offset"] + each["length"]
        for block in sorted(outer, key=lambda block: block["offset"]):
            if not _overlap({**each, "offset": at, "length": end - at}, block):
                continue
            if block["offset"] > at:
                kept.append({**each, "offset": at, "length": block["offset"] - at})
            at = block["offset"] + block["length"]
        if end > at:
            kept.append({**each, "offset": at, "length": end - at})
    return kept


def _holds(outer: Entity, inner: Entity) -> bool:
    return (
        outer["offset"] <= inner["offset"]
        and outer["offset"] + outer["length"] >= inner["offset"] + inner["length"]
        and (outer["length"], outer["type"]) > (inner["length"], inner["type"])
    )


def _overlap(one: Entity, other: Entity) -> bool:
    return one["offset"] < other["offset"] + other["length"] and other["offset"] < one["offset"] + one["length"]
