"""Times: milliseconds inside, RFC 3339 UTC in HTTP."""

from datetime import UTC, datetime
from functools import lru_cache

from logsvc.errors import BadRequest

LATEST_MS = 253_402_300_799_999
"""The last millisecond that has four digits for its year."""


def rfc3339(ms: int) -> str:
    """Write ms since 1970 as `2026-11-22T06:15:12.123Z`. For times that were checked: raises ValueError for others."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


def rfc3339_or_none(ms: int | None) -> str | None:
    """The same for any number; None for None, for 0 (unknown), and for what is no time (say, microseconds)."""
    return rfc3339(ms) if ms and 0 < ms <= LATEST_MS else None


@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_time(name: str, text: str) -> int:
    """Read RFC 3339, or whole milliseconds since 1970, as ms. Raises BadRequest that names the parameter."""
    if text.isascii() and text.isdecimal():
        ms = int(text) if len(text) <= 15 else -1
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise BadRequest(f"{name}: expected a time like 2026-11-22T06:15:12Z") from None
        if moment.tzinfo is None:
            raise BadRequest(f"{name}: say which time zone, e.g. end it with Z")
        ms = round(moment.timestamp() * 1000)
    if not 0 <= ms <= LATEST_MS:
        raise BadRequest(f"{name}: expected a time between 1970 and 9999")
    return ms
