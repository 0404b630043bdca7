"""A log line's level, guessed from what loggers write: pure.

A JSON object says it (pino's number, a word of winston's, a severity), or the line's beginning does: a word after a
date and brackets, or `level=` among the first things.
"""

import re
from typing import Any, cast

from bridge.jsontext import NotJson
from bridge.jsontext import parse as parse_json
from tocsin.events import Level

LEVEL_CHARACTERS = 200
"""A line says its level at its beginning; a line of 5 MB of digits is no date."""

_WORDS = {
    **dict.fromkeys(("trace", "debug", "verbose", "silly"), Level.DEBUG),
    **dict.fromkeys(("info", "notice", "http"), Level.INFO),
    **dict.fromkeys(("warn", "warning"), Level.WARN),
    **dict.fromkeys(("error", "err", "fatal", "critical", "crit", "panic", "alert", "emerg", "emergency"), Level.ERROR),
}
_KEYS = ("level", "severity", "log.level", "levelname", "lvl")
"""Names a JSON line's level goes by: pino and winston, Google, Elastic, Python, Go."""

_ANSI = re.compile(r"\x1b\[[\d;]*m")
_WORD = (
    r"(trace|debug|verbose|info|notice|warn(?:ing)?|err(?:or)?|fatal|crit(?:ical)?|panic|emerg(?:ency)?"
    r"|(?:silly|alert|http)(?=[\]>]))"
)
"""Of words that often begin a sentence, only what stands in brackets."""
_BEGINNING = re.compile(
    rf"^\W{{0,3}}(?:\d[\d:.,TZ+/ -]*(?:[AP]M)?\W{{0,3}})?(?:[\w.]{{1,60}} - )?{_WORD}\b(?![ ]?=)", re.IGNORECASE
)
_LOGFMT = re.compile(rf"(?:^|\s)(?:level|lvl|severity)=\"?(?:{_WORD}\b|(\d{{1,2}})(?!\d))", re.IGNORECASE)


def level_of(line: str) -> Level:
    """The level of a line; info if it says none."""
    if line[:1] == "{":
        return _of_json(line)
    beginning = _ANSI.sub("", line[:LEVEL_CHARACTERS])
    if found := _BEGINNING.match(beginning):
        return _WORDS[found[1].lower()]
    if found := _LOGFMT.search(beginning):
        return _of_number(int(found[2])) if found[2] else _WORDS[found[1].lower()]
    return Level.INFO


def _of_json(line: str) -> Level:
    try:
        value: Any = parse_json(line)
    except NotJson:
        return Level.INFO
    if not isinstance(value, dict):
        return Level.INFO
    fields = cast(dict[str, Any], value)
    return _of_value(next((fields[key] for key in _KEYS if key in fields), None))


def _of_value(level: Any) -> Level:
    if isinstance(level, str):
        word = _ANSI.sub("", level[:LEVEL_CHARACTERS]).strip().lower()
        return _of_number(int(word)) if re.fullmatch("[0-9]{1,3}", word) else _WORDS.get(word, Level.INFO)
    if isinstance(level, int | float) and not isinstance(level, bool):
        return _of_number(level)
    return Level.INFO


def _of_number(level: float) -> Level:
    """pino: 10 trace … 60 fatal; syslog's below 8: 0 emergency … 7 debug."""
    if 0 <= level < 8:
        return Level.ERROR if level < 4 else Level.WARN if level < 5 else Level.INFO if level < 7 else Level.DEBUG
    if level >= 50:
        return Level.ERROR
    if level >= 40:
        return Level.WARN
    return Level.INFO if level >= 30 else Level.DEBUG
