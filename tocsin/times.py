"""Times: milliseconds since 1970 inside, RFC 3339 UTC outside."""

import time
from datetime import UTC, datetime
from functools import lru_cache

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
LATEST_MS = 253_402_300_799_999
"""The last millisecond that has four digits for its year."""


def current_ms() -> int:
    """Now, by this machine's clock."""
    return int(time.time() * 1000)


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
