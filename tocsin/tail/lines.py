"""How a row looks in a terminal: pure. What jobs wrote can hold anything, and none of it may steer the terminal."""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

_COLOURS = {"debug": "2", "info": "36", "warn": "33", "error": "31"}
_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of writing."""


def line_of(row: Mapping[str, Any], zone: tzinfo | None, *, is_coloured: bool) -> str:
    """One line: time, level, where it comes from, what it says. zone None = this machine's."""
    level = str(row.get("level", "info"))
    parts = [_time(str(row.get("ts", "")), zone), _paint(f"{level:<5}", _COLOURS.get(level, "0"), is_coloured)]
    where = row.get("service") or "/".join(str(row[name]) for name in ("env", "source", "queue") if row.get(name))
    parts.append(_paint(_plain(str(where)), "1", is_coloured))
    if row.get("job_id"):
        parts.append(_plain(f"#{row['job_id']} {row.get('job_name', '')}".strip()))
    parts.append(_plain(_what(row)))
    return " ".join(part for part in parts if part)


def notice(text: str, *, is_coloured: bool) -> str:
    """A line of our own among the rows."""
    return _paint(f"-- {_plain(text)}", "35", is_coloured)


def _what(row: Mapping[str, Any]) -> str:
    if row.get("kind") != "event":
        return str(row.get("message", ""))
    attempt = f" ({row['attempt']}/{row['max_attempts']})" if row.get("max_attempts", 0) > 1 else ""
    state = row.get("state", "")
    event = str(row.get("event", "")) + (f" → {state}" if state and state != row.get("event") else "") + attempt
    said = row.get("error") or row.get("message")
    return f"{event}: {said}" if said else event


def _time(ts: str, zone: tzinfo | None) -> str:
    try:
        return datetime.fromisoformat(ts).astimezone(zone).strftime("%H:%M:%S.%f")[:-3]
    except ValueError:
        return _plain(ts)


def _plain(text: str) -> str:
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def _paint(text: str, colour: str, is_coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if is_coloured else text
