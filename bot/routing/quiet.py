"""Quiet hours: when alerts of which queues wait for the morning. Times are people's (bot/localtime.py)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.localtime import at_minute, local
from bot.routing.patterns import Pattern, read_pattern

_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class QuietHours(Pattern):
    """Every day from one minute of the day to another, over midnight if the first is the later one."""

    start: int
    end: int
    env: str = "*"
    source: str = "*"
    queue: str = "*"

    def ends_ms(self, now_ms: int) -> int | None:
        """When they end, if they are on now."""
        today = local(now_ms).date()
        nights = 0 if self.start < self.end else 1
        for day in (today - timedelta(days=nights), today):
            ends_ms = at_minute(day + timedelta(days=nights), self.end)
            if at_minute(day, self.start) <= now_ms < ends_ms:
                return ends_ms
        return None


def parse_quiet_hours(text: str) -> tuple[QuietHours, ...]:
    """Read `[env or source/queue glob=]HH:MM-HH:MM`, comma-separated. Raises ValueError that names the entry."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    return tuple(_parse(number, entry) for number, entry in enumerate(entries, start=1))


def _parse(number: int, entry: str) -> QuietHours:
    pattern, _, hours = entry.rpartition("=")
    found = _HOURS.fullmatch(hours.strip())
    if found is None:
        raise ValueError(f"entry {number} is not [env or source/queue glob=]HH:MM-HH:MM, e.g. staging=18:00-08:00")
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if start == end:
        raise ValueError(f"entry {number} is all day: use /silence, or BOT_RULES_OFF")
    return QuietHours(start, end, *read_pattern(pattern))


def quiet_until_ms(hours: Sequence[QuietHours], env: str, source: str, queue: str, now_ms: int) -> int | None:
    """When the quiet hours of a queue end, if they are on now."""
    ends = (one.ends_ms(now_ms) for one in hours if one.matches(env, source, queue))
    return max((end for end in ends if end is not None), default=None)
