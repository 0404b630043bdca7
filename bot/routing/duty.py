"""Who is on call: a shift that somebody took or was given, else a weekly rota.

The rota's times are people's (bot/localtime.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.localtime import at_minute, local

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
MOST_TURNS = 50
_TURN = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)\w*\s+([01]?\d|2[0-3]):([0-5]\d)\s+(@?\w+)", re.IGNORECASE)


@dataclass(frozen=True)
class Turn:
    """From this minute of the week on (0 = Monday 00:00) somebody is on call, until the next turn."""

    minute: int
    user_id: int
    name: str

    @property
    def words(self) -> str:
        """`Mon 09:00`."""
        return f"{DAYS[self.minute // DAY_MINUTES].capitalize()} {self.minute // 60 % 24:02}:{self.minute % 60:02}"


@dataclass(frozen=True)
class Shift:
    """Somebody is on call, whatever the rota says. until: None = until somebody else is. Times are ms."""

    user_id: int
    name: str
    from_ms: int
    until_ms: int | None
    by: str = ""

    def is_on(self, now_ms: int) -> bool:
        return self.from_ms <= now_ms and (self.until_ms is None or now_ms < self.until_ms)


@dataclass(frozen=True)
class Duty:
    """Who is on call now, since and until when; None = open. by_rota: nobody took it by hand."""

    user_id: int
    name: str
    from_ms: int
    until_ms: int | None
    by_rota: bool = False


def read_rota(text: str) -> list[tuple[int, str]]:
    """Read `Mon 09:00 @ann, Fri 18:00 @bob`: minute of the week, and whom. Raises ValueError that names the entry."""
    found: dict[int, str] = {}
    for number, entry in enumerate((one.strip() for one in text.split(",")), start=1):
        match = _TURN.fullmatch(entry)
        if match is None:
            raise ValueError(str(number))
        minute = (DAYS.index(match[1].lower()) * 24 + int(match[2])) * 60 + int(match[3])
        if minute in found:
            raise ValueError(str(number))
        found[minute] = match[4]
    if len(found) > MOST_TURNS:
        raise ValueError(str(MOST_TURNS + 1))
    return sorted(found.items())


def on_call(shifts: Sequence[Shift], rota: Sequence[Turn], now_ms: int) -> Duty | None:
    """Who is on call. shifts: the newest first; once it is over, the one before that is still on goes on."""
    shift = next((one for one in shifts if one.is_on(now_ms)), None)
    if shift is not None:
        return Duty(shift.user_id, shift.name, shift.from_ms, shift.until_ms)
    if not rota:
        return None
    now, following = _turns(rota, now_ms)
    return Duty(now.user_id, now.name, _last(now, now_ms), _next(following, now_ms), by_rota=True)


def next_on_call(shifts: Sequence[Shift], rota: Sequence[Turn], now_ms: int) -> Duty | None:
    """Who is on call after whoever is now, as far as that is known."""
    duty = on_call(shifts, rota, now_ms)
    return None if duty is None or duty.until_ms is None else on_call(shifts, rota, duty.until_ms)


def others(rota: Sequence[Turn], user_id: int, now_ms: int) -> list[Turn]:
    """The people of the rota after whoever is on call, each once, in the order of their turns."""
    ahead = sorted(rota, key=lambda one: _next(one, now_ms))
    return list({one.user_id: one for one in reversed(ahead) if one.user_id != user_id}.values())[::-1]


def _turns(rota: Sequence[Turn], now_ms: int) -> tuple[Turn, Turn]:
    """The turn that is on, and the one after it."""
    at = max(range(len(rota)), key=lambda number: (_last(rota[number], now_ms), number))
    return rota[at], rota[(at + 1) % len(rota)]


def _begins(one: Turn, now_ms: int) -> list[int]:
    """When a turn begins in the week before, in this one and in the next."""
    now = local(now_ms).date()
    days, minute = divmod(one.minute, DAY_MINUTES)
    return [at_minute(now + timedelta(weeks=weeks, days=days - now.weekday()), minute) for weeks in (-1, 0, 1)]


def _last(one: Turn, now_ms: int) -> int:
    return max(at for at in _begins(one, now_ms) if at <= now_ms)


def _next(one: Turn, now_ms: int) -> int:
    return min(at for at in _begins(one, now_ms) if at > now_ms)
