"""When a stream may be followed, and since when nothing missing was told."""

import pytest

from bridge.sources.bullmq.following import Following
from bridge.sources.bullmq.stream import Info, Position, Reading, advance
from tests.unit.bridge.entries import entry_of

START = Position("5-0", 5)
INFO = Info(length=7, last_generated_id="7-0", added=7, first_id="1-0", holds_last=True)


def read(info: Info = INFO, *, count: int = 10) -> Reading:
    """What comes after 5-0: 6-0 and 7-0."""
    return advance(START, info, [entry_of("6-0", {}), entry_of("7-0", {})][:count], count)


def test_a_stream_read_to_its_end_is_followed_until_a_check_is_due() -> None:
    following = Following()
    following.whole(START, INFO, read(), "")
    assert (following.is_on, following.sure_id) == (True, None), "nothing was handed on yet"
    following.hand_on()
    assert following.sure_id == "7-0"
    following.check()
    assert (following.is_on, following.sure_id) == (False, "7-0")


@pytest.mark.parametrize(
    ("info", "count"),
    [
        (INFO, 1),
        (Info(7, "7-0", None, "1-0", holds_last=True), 10),
        (Info(7, "7-0", 7, "1-0", has_deletions=True, holds_last=True), 10),
        (Info(7, "7-0", 9, "1-0", holds_last=True), 10),
        (Info(2, "7-0", 8, "6-0"), 10),
        (Info(2, "7-0", 2, "6-0"), 10),
    ],
    ids=["more to come", "not counted", "deleted by hand", "miscounted", "trimmed", "another"],
)
def test_one_with_anything_odd_is_read_whole_again(info: Info, count: int) -> None:
    following = Following()
    following.whole(START, info, read(info, count=count), "")
    assert not following.is_on


def test_an_empty_stream_has_nothing_to_begin_with() -> None:
    following, info = Following(), Info(0, "0-0", 0, None)
    following.whole(Position(), info, advance(Position(), info, [], 10), "")
    assert not following.is_on


def test_where_the_last_entry_was_gone_once_only_a_check_lets_it_be_tried_again() -> None:
    following = Following()
    following.fail()
    following.whole(START, INFO, read(), "")
    assert not following.is_on
    following.check()
    following.whole(START, INFO, read(), "")
    assert following.is_on


def test_a_read_that_is_cut_ends_it_and_is_sure_only_so_far() -> None:
    following = Following()
    following.whole(START, INFO, read(), "")
    following.cut(read(count=1))
    following.hand_on()
    assert (following.is_on, following.sure_id) == (False, "6-0")


def test_a_read_that_is_never_handed_on_makes_nothing_sure() -> None:
    following = Following()
    following.whole(START, INFO, read(), "")
    following.hand_on()
    later = Position("7-0", 7)
    lost = Info(length=7, last_generated_id="9-0", added=9, first_id="1-0", has_deletions=True, holds_last=True)
    for _ in range(2):  # the first time what it needs besides does not come
        reading = advance(later, lost, [], 10, following.sure_id)
        following.whole(later, lost, reading, "")
        assert (reading.lost, reading.lost_from, reading.lost_to) == (2, "7-0", "9-0")
