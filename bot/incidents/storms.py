"""A storm: many incidents of one env at once, told in one message instead of many (pure)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bot.incidents.failures import Key
from bot.incidents.machine import UNHEEDED, Phase
from bot.rules.policy import Policy

WITHIN_MS = 60_000
"""Incidents that ring within this are counted together; a storm that none joins for so long takes in no more."""
LONGEST_MS = 5 * WITHIN_MS
"""Nor does one this old: what joins a storm makes no sound, and a trickle would be hidden by it for ever."""


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
    """What one place hears of a storm: the incidents that would have rung there. Times are ms, our clock.

    told: when people last heard a sound about it, and how many failures nobody had taken then. is_cut: there are more
    than these members, none of which needs anybody as long as one of these does not.
    """

    id: int
    env: str
    began_ms: int
    joined_ms: int
    members: Sequence[Member]
    is_cut: bool = False
    told_ms: int = 0
    told_count: int = 0

    def counted(self, number: int) -> str:
        """A number of its members, or of their failures, as it is told."""
        return f"{number}+" if self.is_cut else f"{number}"

    @property
    def failures(self) -> int:
        return sum(one.count for one in self.members)

    @property
    def unheeded(self) -> int:
        return sum(one.is_unheeded for one in self.members)

    @property
    def waiting_failures(self) -> int:
        return sum(one.count for one in self.members if one.is_unheeded)

    @property
    def is_over(self) -> bool:
        return all(one.phase is Phase.RESOLVED for one in self.members)

    def calls_again(self, joined: Collection[int]) -> bool:
        """Whether nothing of it waited for anybody until these joined."""
        waiting = {one.id for one in self.members if one.is_unheeded}
        return bool(waiting) and waiting <= set(joined)

    def has_grown(self, policy: Policy, now_ms: int) -> bool:
        """Whether what nobody has taken has passed a step since people heard of it, not just now; see machine.py."""
        waiting = self.waiting_failures
        if not waiting or now_ms - self.told_ms < policy.between_sounds_seconds * 1000:
            return False
        return not self.told_count or any(self.told_count < one <= waiting for one in policy.loud_counts)


def takes_in(began_ms: int, joined_ms: int, now_ms: int) -> bool:
    """Whether what rings now joins a storm that began then, and was last joined then."""
    return now_ms - joined_ms <= WITHIN_MS and now_ms - began_ms <= LONGEST_MS


def room(limit: int, rung_lately: int) -> int:
    """How many more may have a message of their own now."""
    return max(0, limit - rung_lately)
