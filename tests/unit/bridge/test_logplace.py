"""Where a log goes on, whatever was cut from it: each line that is there at a look is told once, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logs.lines import message_of
from bridge.sources.bullmq.logs.place import MOST_DIGESTS, Found, LogPlace, Look, digest, look, look_back
from bridge.sources.bullmq.logs.reader import read_command


def reading(there: list[str], asked: Look) -> list[str]:
    """What LRANGE replies."""
    if asked.first < 0:
        return there[asked.first :]
    return there[asked.first : asked.last + 1]


def find(there: list[str], place: LogPlace, count: int, *, is_cut: bool) -> Found:
    """What LogReader finds, without a Redis."""
    asked = look(place, count, is_cut=is_cut)
    found = asked.find(reading(there, asked))
    if not found.is_sure:
        asked = look_back(place, 1000)
        found = asked.find(reading(there, asked))
    return found


def follow(place: LogPlace, there: list[str], *, count: int = 50, is_cut: bool = False) -> tuple[list[str], LogPlace]:
    """The lines told of a log as it is, and the place after them."""
    told: list[str] = []
    while True:
        found = find(there, place, count, is_cut=is_cut)
        told += found.lines
        place = place.found_at(found.at).after([message_of(line) for line in found.lines])
        if not found.is_more:
            return told, place


def restored(place: LogPlace) -> LogPlace:
    """The place as a cursor tells it."""
    return LogPlace(place.lines, place.last, place.lines)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 40)),
        st.tuples(st.just("clear"), st.integers(0, 5)),
        st.tuples(st.just("look"), st.integers(1, 7)),
        st.tuples(st.just("kill"), st.integers(0, 0)),
    ),
    max_size=40,
)


@given(STEPS, st.one_of(st.none(), st.integers(1, 60)), st.booleans())
def test_each_line_that_is_there_at_a_look_is_told_once_in_order(
    steps: list[tuple[str, int]], keeps: int | None, is_known: bool
) -> None:
    """keeps: the job's keepLogs. is_known: whether the reader knows of it."""
    is_cut = keeps is not None or not is_known
    there, place, written = list[str](), LogPlace(), 0
    told, seen = list[str](), list[str]()
    for step, number in steps:
        if step == "write":
            for _ in range(number):
                there.append(f"line {written}")
                written += 1
                there = there[-keeps:] if keeps else there
        elif step == "clear":
            there = there[-number:] if number else []
        elif step == "kill":
            place = restored(place)
        else:
            lines, place = follow(place, there, count=number, is_cut=is_cut)
            told += lines
            seen += [line for line in there if line not in seen]
        assert place.lines == len(told)
    assert told == seen


@given(st.lists(st.lists(st.sampled_from("ab"), max_size=6), max_size=10), st.integers(1, 8))
def test_lines_that_are_alike_are_never_told_twice(looks: list[list[str]], keeps: int) -> None:
    """Some of them cannot be told apart from those told before: they are left out."""
    there, place, written, told = list[str](), LogPlace(), list[str](), list[str]()
    for lines in looks:
        written += lines
        there = [*there, *lines][-keeps:]
        new, place = follow(place, there, is_cut=True)
        told += new
    rest = iter(written)
    assert all(line in rest for line in told)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (["batch 1", "done", "batch 2", "done"], ["batch 2", "done", "batch 3", "done"], ["batch 3", "done"]),
        (["a", "b", "c"], ["c", "d", "e"], ["d", "e"]),
        (["a", "b", "c"], ["x", "y", "z"], ["x", "y", "z"]),
        (["a", "b", "c"], ["a", "b", "c"], []),
        (["a", "b", "c"], [], []),
    ],
)
def test_what_is_kept_is_told_after_the_longest_row_that_was_told(
    before: list[str], after: list[str], told: list[str]
) -> None:
    _, place = follow(LogPlace(), before, is_cut=True)

    assert follow(place, after, is_cut=True)[0] == told
    assert follow(restored(place), after, is_cut=True)[0] == told


def test_row_that_may_begin_before_what_was_read_is_not_sure() -> None:
    _, place = follow(LogPlace(), [f"line {number}" for number in range(40)])
    moved = [f"line {number}" for number in range(20, 60)]
    few, more = look_back(place, 21), look_back(place, 21 + MOST_DIGESTS)

    assert not few.find(reading(moved, few)).is_sure
    assert more.find(reading(moved, more)) == Found(moved[20:], None)


def test_log_that_lost_its_beginning_is_read_from_its_end() -> None:
    assert read_command(Keys("bull", "q"), "a:b:c", look(LogPlace(7, b"x" * 8, 7), 50, is_cut=False)) == (
        "LRANGE", "bull:q:a:b:c:logs", 6, 56,
    )  # fmt: skip
    assert read_command(Keys("bull", "q"), "1", look(LogPlace(7, b"x" * 56, None), 50, is_cut=True)) == (
        "LRANGE", "bull:q:1:logs", -32, -1,
    )  # fmt: skip


def test_secret_in_a_line_is_not_in_its_digest() -> None:
    """It could be tried out: a digest is of what is told."""
    assert digest("password=hunter22") == digest("password=hunter23")
    _, place = follow(LogPlace(), ["password=hunter22"])
    assert place.last == digest("password=hunter23")
