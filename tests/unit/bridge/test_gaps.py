"""Which gaps can be mended, and what is left of them."""

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.enrich import SKEW_MS
from bridge.sources.bullmq.gaps.present import find_present
from bridge.sources.bullmq.gaps.rebuild import has_ends
from bridge.sources.bullmq.gaps.work import mendable, without
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.reconcile.open_jobs import OpenJobs
from bridge.sources.bullmq.stream import MAX_GAPS, Gap

NOW = 1_000_000
PAST = NOW - 2 * SKEW_MS


def test_gap_can_be_mended_once_all_that_may_be_taken_for_it_was_read() -> None:
    assert mendable([], NOW) is None
    assert mendable([Gap(1, PAST)], NOW) is None
    assert mendable([Gap(1, PAST - 1)], NOW) == Gap(1, PAST - 1)


def test_gaps_that_are_past_are_mended_although_newer_ones_come() -> None:
    gaps = [Gap(5, 10), Gap(20, 30), Gap(NOW - 10, NOW)]
    mended = mendable(gaps, NOW)
    assert mended is not None
    assert mended == Gap(5, 30)
    assert without(gaps, mended) == (Gap(NOW - 10, NOW),)


def test_of_gaps_that_are_joined_for_ever_what_is_past_is_mended() -> None:
    gaps = [Gap(5, NOW - 9), *(Gap(NOW - 9 + at, NOW - 8 + at) for at in range(1, MAX_GAPS))]
    mended = mendable(gaps, NOW)
    assert mended is not None
    assert mended == Gap(5, PAST)
    assert without(gaps, mended) == (Gap(PAST, NOW - 9), *gaps[1:])


def test_gap_that_begins_meanwhile_holds_nothing_of_the_time_mended() -> None:
    """It begins at the last entry that was passed, which may be long ago."""
    assert without([Gap(5, 10), Gap(7, NOW)], Gap(5, 100)) == (Gap(100, NOW),)


class Refusing(Door):
    """A Redis that refuses whatever it is asked but one command, which finds nothing."""

    def __init__(self, allowed: str = "") -> None:
        super().__init__("redis://127.0.0.1:1")
        self._allowed = allowed

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10, as_text: bool = False) -> list[Reply]:
        return [0 if command[0] == self._allowed else Refused("NOPERM") for command in commands]


@pytest.mark.parametrize(("allowed", "has_any"), [("ZCOUNT", False), ("", True)])
async def test_gap_whose_ends_are_not_counted_is_mended_all_the_same(allowed: str, has_any: bool) -> None:
    assert await has_ends(Refusing(allowed), Keys("bull", "mail"), Gap(1, 2)) is has_any


async def test_refusal_that_keeps_open_jobs_from_being_rebuilt_is_said_once() -> None:
    door = Refusing()
    with capture_logs() as logs:
        for _ in range(2):
            assert await find_present(door, Keys("bull", "mail"), OpenJobs()) == []
    assert [(line["event"], line["command"]) for line in logs] == [("command_refused", "LRANGE")]
