"""What is kept quiet, for how long and why: silences, and the maintenance of an env (pure)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bot.incidents.failures import Key
from bot.localtime import next_at

LONGEST_HOURS = 7 * 24
_LENGTH = re.compile(r"(\d{1,5})(m|min|h|d)")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_MINUTES = {"m": 1, "min": 1, "h": 60, "d": 24 * 60}


@dataclass(frozen=True)
class Scope:
    """What a silence covers; an empty part means any."""

    env: str = ""
    source: str = ""
    queue: str = ""
    fingerprint: str = ""

    def covers(self, key: Key) -> bool:
        return all(not wanted or wanted == part for wanted, part in zip(self.parts, key, strict=True))

    @property
    def parts(self) -> tuple[str, str, str, str]:
        return self.env, self.source, self.queue, self.fingerprint

    @property
    def is_everything(self) -> bool:
        return not any(self.parts)


@dataclass(frozen=True)
class Silence:
    """One that is on. hidden: failures it kept quiet, kinds: label -> how many of them. Times are ms."""

    id: int
    scope: Scope
    until_ms: int
    from_ms: int
    by: str
    reason: str = ""
    is_maintenance: bool = False
    hidden: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict[str, int])


def covering(silences: Iterable[Silence], key: Key) -> list[Silence]:
    """Those that keep an incident quiet."""
    return [one for one in silences if one.scope.covers(key)]


def quiet_until(silences: Iterable[Silence], key: Key) -> int | None:
    """When the last of those ends; None if there is none."""
    return max((one.until_ms for one in covering(silences, key)), default=None)


@dataclass(frozen=True)
class Wish:
    """What somebody typed: what comes before the time, the time, and what comes after it."""

    target: str
    until_ms: int
    reason: str


def read_wish(text: str, *, now_ms: int) -> Wish | None:
    """Read `TARGET 1h REASON`, `TARGET until 09:00 REASON`; None where no time is named. Clock times are people's.

    The first word that is a time and has something before it counts. Raises ValueError for a time that is too long.
    """
    words = text.split()
    for at in range(1, len(words)):
        length, clock = _LENGTH.fullmatch(words[at].lower()), _TIME.fullmatch(words[at])
        is_until = words[at - 1].lower() == "until"
        if clock and is_until and at > 1:
            return Wish(
                " ".join(words[: at - 1]),
                next_at(int(clock[1]) * 60 + int(clock[2]), now_ms),
                " ".join(words[at + 1 :]),
            )
        if length:
            return Wish(" ".join(words[:at]), now_ms + _length_ms(length), " ".join(words[at + 1 :]))
    return None


def _length_ms(found: re.Match[str]) -> int:
    minutes = int(found[1]) * _MINUTES[found[2]]
    if not 0 < minutes <= LONGEST_HOURS * 60:
        raise ValueError(found[0])
    return minutes * 60_000
