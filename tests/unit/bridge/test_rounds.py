"""Whose turn it is to be asked."""

import random

from bridge.partition.rounds import QUIET_A_SECOND, Rounds


class Clock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rounds_of(clock: Clock) -> Rounds:
    return Rounds(5, clock, random.Random(1))


def test_some_queues_are_all_asked_each_time() -> None:
    clock = Clock()
    rounds = rounds_of(clock)
    queues = {"a": 0, "b": 7}
    for _ in range(3):
        assert rounds.due(queues, 2) == ["a", "b"]
        assert rounds.due(queues, 2) == []
        clock.now += 5


def test_of_many_the_quiet_ones_are_asked_in_rounds_and_each_within_one() -> None:
    clock = Clock()
    rounds = rounds_of(clock)
    queues = {f"q{number}": 0 for number in range(10_000)}
    assert len(rounds.due(queues, 10_000)) == 10_000, "all are asked at first"
    asked: set[str] = set()
    round_seconds = 10_000 / QUIET_A_SECOND
    while clock.now < 1000 + round_seconds:
        clock.now += 5
        due = rounds.due(queues, 10_000)
        assert len(due) < 3 * QUIET_A_SECOND * 5, "they must not all be due together"
        asked.update(due)
    assert asked == set(queues)


def test_a_queue_that_moved_is_asked_at_once_and_once() -> None:
    clock = Clock()
    rounds = rounds_of(clock)
    queues = {f"q{number}": 0 for number in range(10_000)}
    rounds.due(queues, 10_000)
    queues["q7"] = 5
    assert rounds.due(queues, 10_000) == ["q7"]
    assert rounds.due(queues, 10_000) == []


def test_a_queue_that_gave_no_answer_is_asked_again() -> None:
    clock = Clock()
    rounds = rounds_of(clock)
    assert rounds.due({"a": 0, "b": 0}, 2) == ["a", "b"]
    rounds.ask_again(["b"])
    assert rounds.due({"a": 0, "b": 0}, 2) == ["b"]


def test_a_queue_that_came_back_is_asked_as_a_new_one() -> None:
    clock = Clock()
    rounds = rounds_of(clock)
    rounds.due({"a": 0}, 1)
    rounds.due({}, 0)
    assert rounds.due({"a": 0}, 1) == ["a"]
