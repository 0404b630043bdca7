"""How much of a stream's window is left is known before anything is lost, and what to do about it is said."""

import math

import pytest

from bridge.window import Window, advised


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def read(window: Window, added: int, passed: int, length: int | None = None, *, is_history: bool = False) -> None:
    window.see(added=added, length=added if length is None else length, passed=passed, is_history=is_history)


def test_nothing_is_said_before_redis_tells() -> None:
    window = Window(Clock())
    assert math.isnan(window.left())
    assert math.isnan(window.seconds())
    assert window.small() is None


def test_what_is_left_is_what_may_still_be_added_before_unread_entries_are_trimmed() -> None:
    window = Window(Clock())
    read(window, 100, 100)
    assert window.left() == 1
    read(window, 4_100, 100)
    assert window.left() == 0.6
    read(window, 90_000, 70_000, length=10_080)
    assert window.left() == 0


def test_history_before_tocsin_is_no_loss() -> None:
    window = Window(Clock())
    read(window, 90_000, 0, length=10_080, is_history=True)
    assert window.left() == 1
    assert window.small() is None


def test_short_burst_is_no_reason_to_warn_and_a_lasting_rate_is() -> None:
    clock = Clock()
    window = Window(clock)
    read(window, 0, 0)
    clock.now += 1
    read(window, 5_000, 5_000)
    assert window.small() is None
    for second in range(1, 61):
        clock.now += 1
        read(window, 5_000 + second * 500, 5_000 + second * 500)
    small = window.small()
    assert small is not None
    assert (small.rate, small.seconds, small.left) == (pytest.approx(583, abs=90), pytest.approx(17, abs=3), 1)
    assert "streams: { events: { maxLen: 500000 } } to EVERY new Queue(...)" in small.mend


def test_warning_comes_once_an_hour() -> None:
    clock = Clock()
    window = Window(clock)
    read(window, 9_000, 0)
    assert window.small() is not None
    clock.now += 3_599
    read(window, 9_000, 0)
    assert window.small() is None
    clock.now += 1
    assert window.small() is not None


def test_another_advice_does_not_wait_for_its_hour() -> None:
    """A queue that is met behind its first burst, of which nobody saw how fast it came; then another burst."""
    clock = Clock()
    window = Window(clock)
    read(window, 9_500, 0)
    first = window.small()
    read(window, 9_500, 9_500)
    clock.now += 60
    read(window, 19_000, 9_500)
    second = window.small()
    assert first is not None
    assert second is not None
    assert ("is behind" in first.mend, "maxLen: 100000" in second.mend) == (True, True)
    assert window.small() is None


def test_reader_that_is_behind_in_a_window_long_enough_is_told_of_itself() -> None:
    window = Window(Clock())
    read(window, 8_000, 0)
    small = window.small()
    assert small is not None
    assert "the bridge is behind" in small.mend


def test_what_is_left_shrinks_while_nobody_reads() -> None:
    clock = Clock()
    window = Window(clock)
    read(window, 0, 0)
    clock.now += 60
    read(window, 6_000, 6_000)
    assert (window.rate(), window.seconds()) == (100, 100)
    clock.now += 19
    assert window.left() == 1
    clock.now += 31
    assert window.left() == 0.5
    clock.now += 60
    assert window.left() == 0


def test_rate_of_a_stream_begun_anew_is_its_own() -> None:
    clock = Clock()
    window = Window(clock)
    read(window, 50_000, 50_000)
    clock.now += 5
    read(window, 10, 10)
    clock.now += 5
    read(window, 70, 70)
    assert window.rate() == 1


@pytest.mark.parametrize(
    ("rate", "length"), [(0, 10_000), (17, 20_000), (40, 50_000), (100, 100_000), (1_700, 1_000_000), (9e9, 1_000_000)]
)
def test_advice_holds_ten_minutes_within_bounds(rate: float, length: int) -> None:
    assert advised(rate) == length
