"""Which gaps can be mended, and what is left of them."""

from bridge.sources.bullmq.gaps import mendable, without
from bridge.sources.bullmq.rebuild import SKEW_MS
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
