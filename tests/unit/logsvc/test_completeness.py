"""Up to when everything is stored: said only where it is true of every partition."""

import pytest

from logsvc.ingest.completeness import Completeness
from logsvc.partitions import Place

A, B = Place("tocsin.jobs", 0), Place("tocsin.jobs", 1)


def test_what_is_not_stored_of_any_partition_holds_it_and_what_is_stored_lets_it_go_on() -> None:
    known = Completeness()
    known.learn({A: 10}, 1_000, {A: 10, B: 5})
    assert known.as_of_ms is None, "nobody has said how far the second one is"
    known.learn({A: 10, B: 4}, 2_000, {A: 12, B: 5})
    assert known.as_of_ms is None
    known.learn({A: 11, B: 5}, 3_000, {A: 14, B: 9})
    assert known.as_of_ms == 1_000
    known.learn({A: 14, B: 9}, 4_000, {A: 14, B: 9})
    assert known.as_of_ms == 4_000


def test_time_goes_on_while_nothing_comes_and_stops_before_what_is_not_stored() -> None:
    known = Completeness()
    for at_ms in range(1_000, 60_000, 500):
        known.learn({A: 10}, at_ms, {A: 10})
    assert known.as_of_ms == 59_500
    for at_ms in range(60_000, 90_000, 500):
        known.learn({A: 10}, at_ms, {A: 11})
    assert known.as_of_ms == 59_500
    known.learn({A: 11}, 90_000, {A: 15})
    assert known.as_of_ms == 89_500


def test_a_partition_that_arrives_far_behind_takes_nothing_back_and_adds_nothing() -> None:
    known = Completeness()
    known.learn({A: 10, B: 9}, 1_000, {A: 10, B: 9})
    known.learn({A: 20, B: 9}, 2_000, {A: 20, B: 900})
    assert known.as_of_ms == 1_000


@pytest.mark.parametrize("ends", [{A: 3}, {A: 10}])
def test_a_partition_that_is_shorter_than_it_was_says_nothing_until_it_is_stored_as_the_one_it_is_now(
    ends: dict[Place, int],
) -> None:
    """stored: of the former life, until its lane has found out."""
    known = Completeness()
    known.learn({A: 20}, 1_000, {A: 20})
    known.learn({A: 20}, 2_000, {A: 30})
    for at_ms in (3_000, 4_000):
        known.learn({A: 20}, at_ms, ends)
        assert known.as_of_ms == 1_000
    known.learn({A: ends[A]}, 5_000, ends)
    assert known.as_of_ms == 5_000


def test_a_topic_that_was_never_written_to_holds_nothing() -> None:
    known = Completeness()
    known.learn({}, 1_000, {A: 0})
    assert known.as_of_ms == 1_000
    known.learn({}, 2_000, {})
    assert known.as_of_ms == 1_000, "nothing is known of any partition"


def test_memory_is_bounded_and_what_is_said_stays_true() -> None:
    known = Completeness()
    for second in range(50_000):
        known.learn({A: 0}, second * 1_000, {A: second + 1})
    for stored in range(1, 50_000, 500):
        known.learn({A: stored}, 60_000_000, {A: 50_000})
        assert (known.as_of_ms or 0) <= (stored - 1) * 1_000
    assert (known.as_of_ms or 0) > 49_000_000
