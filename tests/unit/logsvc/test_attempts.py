"""A job's life told from its rows."""

from typing import Any

import pytest

from logsvc.api.attempts import attempts_of
from logsvc.api.job import JobName, parent_of
from logsvc.rows import Row
from tests.unit.logsvc.records import NOW_MS
from tocsin.times import rfc3339


def row(number: int, **fields: Any) -> Row:
    known: dict[str, Any] = {"id": str(number), "ts": rfc3339(NOW_MS + number), "kind": "event", "level": "info"}
    return Row(**(known | fields))


def test_each_attempt_keeps_its_own_error() -> None:
    found = attempts_of(
        [
            row(0, event="added", state="waiting"),
            row(1, event="active", state="active", attempt=1, worker="w1"),
            row(2, event="delayed", state="retrying", attempt=1, error="first", stack=["a"], run_ms=7),
            row(3, event="active", state="active", attempt=2),
            row(4, event="failed", state="failed", attempt=2, error="second", error_type="TypeError"),
            row(5, event="retries-exhausted", state="failed", attempt=2),
        ]
    )
    assert [(one.n, one.outcome, one.error) for one in found] == [(1, "failed", "first"), (2, "failed", "second")]
    assert (found[0].worker, found[0].run_ms, found[0].stack) == ("w1", 7, ["a"])
    assert (found[0].started, found[0].ended) == (rfc3339(NOW_MS + 1), rfc3339(NOW_MS + 2))


def test_an_attempt_under_way_has_no_end() -> None:
    [one] = attempts_of([row(1, event="active", state="active", attempt=1)])
    assert (one.outcome, one.ended) == ("running", None)


def test_an_attempt_whose_times_are_no_times_is_timed_by_its_events() -> None:
    [one] = attempts_of(
        [
            row(1, event="active", state="active", attempt=1, started_at=NOW_MS * 1000),
            row(2, event="failed", state="failed", attempt=1, ended_at=2**62),
        ]
    )
    assert (one.started, one.ended) == (rfc3339(NOW_MS + 1), rfc3339(NOW_MS + 2))


def test_an_end_whose_beginning_was_trimmed_is_an_attempt() -> None:
    [one] = attempts_of([row(9, event="failed", state="failed", attempt=3, error="boom")])
    assert (one.n, one.started, one.outcome) == (3, None, "failed")


def test_a_stall_ends_an_attempt_and_another_begins() -> None:
    found = attempts_of(
        [
            row(1, event="active", state="active", attempt=1),
            row(2, event="stalled", state="stalled", attempt=1),
            row(3, event="active", state="active", attempt=2),
            row(4, event="completed", state="completed", attempt=2, run_ms=5),
        ]
    )
    assert [(one.n, one.outcome) for one in found] == [(1, "stalled"), (2, "completed")]


def test_attempts_are_numbered_when_nobody_told_their_number() -> None:
    events = [("active", "active"), ("waiting", "retrying"), ("active", "active"), ("completed", "completed")]
    found = attempts_of([row(n, event=event, state=state) for n, (event, state) in enumerate(events)])
    assert [(one.n, one.outcome) for one in found] == [(1, "failed"), (2, "completed")]


@pytest.mark.parametrize(
    ("parent", "queue", "job_id"),
    [
        ("bull:orders:7", "orders", "7"),
        ("{bull}:site:orders:7", "orders", "7"),
        ("bull:orders:repeat:nightly:1795000000000", "orders", "repeat:nightly:1795000000000"),
        ("a:bull:orders:repeat:nightly:eu:1795000000000", "orders", "repeat:nightly:eu:1795000000000"),
        ("bull:repeat:7", "repeat", "7"),
    ],
)
def test_a_parent_is_named_by_its_queue_and_its_whole_id(parent: str, queue: str, job_id: str) -> None:
    assert parent_of("main", parent) == JobName("main", queue, job_id)


def test_what_is_no_key_names_no_parent() -> None:
    assert parent_of("main", "") is None
    assert parent_of("main", "orders:7") is None
