"""People's time: what their clock shows, and when it shows that (pure but for the zone, BOT_TIME_ZONE).

The zone is the process' own, as TZ is, and set once at its start: or each of the many lines that tell a time would have
to be handed it.
"""

from bisect import bisect_left
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UTC = ZoneInfo("UTC")
_zone = UTC


def use(zone: ZoneInfo) -> None:
    """Tell and read times in this zone from now on."""
    global _zone  # see above
    _zone = zone


def zone_named(name: str) -> ZoneInfo:
    """A zone of the IANA database. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone's IANA name, e.g. Europe/Berlin") from None


def zone_name() -> str:
    """`Europe/Berlin`."""
    return _zone.key


def local(ms: int) -> datetime:
    """What the clock shows then."""
    return datetime.fromtimestamp(ms / 1000, _zone)


def abbreviation(at: datetime) -> str:
    """`CET`, `UTC+0545`: many zones have no letters."""
    name = at.tzname() or ""
    return name if name[:1].isalpha() else f"UTC{name}"


def at_minute(day: date, minute: int) -> int:
    """The first moment (ms) at which the clock shows this minute of a day, or a later one.

    So what the clock skips is when it jumps, what it shows twice is the first of the two, and what comes later on the
    clock never comes earlier. Source of fold: PEP 495.
    """
    wall = datetime.combine(day, time_of_day()) + timedelta(minutes=minute)
    found = int(wall.replace(tzinfo=_zone).timestamp())
    before = int(wall.replace(tzinfo=_zone, fold=1).timestamp())  # of a skipped one, by the clock after the jump
    if before < found:
        between = range(before, found)
        found = before + bisect_left(between, wall, key=lambda second: local(second * 1000).replace(tzinfo=None))
    return found * 1000


def days_ago(ms: int, days: int) -> int:
    """When, so many days before this moment (a whole minute), the clock showed the same."""
    now = local(ms)
    return at_minute(now.date() - timedelta(days=days), now.hour * 60 + now.minute)


def next_at(minute: int, now_ms: int) -> int:
    """When the clock next shows this minute of a day."""
    today = local(now_ms).date()
    return next(at for days in range(3) if (at := at_minute(today + timedelta(days=days), minute)) > now_ms)
