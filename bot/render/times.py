"""Times and numbers for a small screen, in people's zone (bot/localtime.py)."""

from datetime import datetime

from bot import texts
from bot.localtime import abbreviation, local


def age(seconds: float) -> str:
    """`4 s`, `12 min`, `3 h`, `2 d`."""
    seconds = max(0.0, seconds)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def many(count: int, one: str, more: str = "") -> str:
    """`1 job`, `412 jobs`."""
    return f"{count} {one if count == 1 else more or f'{one}s'}"


def duration(ms: float) -> str:
    """`850 ms`, then as an age."""
    return f"{ms:.0f} ms" if 0 <= ms < 1000 else age(ms / 1000)


def clock(ms: int) -> str:
    """`03:14:02 UTC`, of a time in ms."""
    at = local(ms)
    return f"{at:%H:%M:%S} {abbreviation(at)}"


def as_old(seconds: float | None, now_ms: int) -> str:
    """How old what is told is: `4 s old (03:14:02 UTC)`. seconds: None = nothing was read yet."""
    if seconds is None:
        return texts.NOT_READ_YET
    return texts.AS_OF.format(age=age(seconds), at=clock(now_ms - int(seconds * 1000)))


def moment(ms: int) -> str:
    """`22 Nov 03:14:02 UTC`."""
    at = local(ms)
    return f"{at:%d %b %H:%M:%S} {abbreviation(at)}"


def span(first_ms: int, last_ms: int) -> str:
    """`22 Nov 03:12:40 to 03:14:02 UTC`: the second date, and the first zone, only where it is another one."""
    first, last = local(first_ms), local(last_ms)
    if first_ms == last_ms:
        return moment(first_ms)
    began = f"{first:%d %b %H:%M:%S}" if abbreviation(first) == abbreviation(last) else moment(first_ms)
    return f"{began} to {moment(last_ms) if first.date() != last.date() else clock(last_ms)}"


def parse_rfc3339(text: str) -> int:
    """ms since 1970 of an RFC 3339 time. Raises ValueError."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)
