"""A storm: many incidents of one env at once, told in one message instead of many (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.incidents.failures import Key
from bot.incidents.machine import UNHEEDED, Phase

WITHIN_MS = 60_000
"""Incidents that ring within this are counted together; a storm that none joins for so long takes in no more."""


@dataclass(frozen=True)
class Member:
    """One incident of a storm, as it is now. paged: chat and topic of those it was brought to by name."""

    id: int
    key: Key
    title: str
    phase: Phase
    count: int
    paged: tuple[tuple[int, int | None], ...] = ()

    @property
    def is_unheeded(self) -> bool:
        return self.phase in UNHEEDED


@dataclass(frozen=True)
class Storm:
    """What one place hears of a storm: the incidents that would have rung there. Times are ms, our clock."""

    id: int
    env: str
    began_ms: int
    joined_ms: int
    members: Sequence[Member]

    @property
    def failures(self) -> int:
        return sum(one.count for one in self.members)

    @property
    def unheeded(self) -> int:
        return sum(one.is_unheeded for one in self.members)

    @property
    def is_over(self) -> bool:
        return all(one.phase is Phase.RESOLVED for one in self.members)


def room(limit: int, rung_lately: int) -> int:
    """How many more may have a message of their own now."""
    return max(0, limit - rung_lately)
