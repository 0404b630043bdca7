"""Counts from replies."""

import pytest

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Refused, Reply
from bridge.sources.bullmq.keys import Keys, queue_of_meta
from bridge.sources.bullmq.snapshots.queues import (
    COMMANDS_PER_QUEUE,
    Active,
    Looks,
    commands,
    parse_active,
    snapshot,
)
from tests.unit.bridge.entries import PLACE
from tocsin.events import QueueSnapshot


def replies(**changes: Reply) -> list[Reply]:
    named: dict[str, Reply] = {
        "meta": [None, b"10000", b"bullmq:6.7.0", None, None, None], "wait": 3, "paused": 4, "active": 1, "delayed": 5,
        "prioritized": 6, "waiting-children": 7, "completed": 8, "failed": 9, "next": b"12", "next_paused": None,
        "longest": None, "overdue": 2, "begun": None, "window": -2,
    }  # fmt: skip
    assert len(named) == COMMANDS_PER_QUEUE == len(commands(Keys("bull", "q"), 0))
    return list({**named, **changes}.values())


def counted(**changes: Reply) -> QueueSnapshot | None:
    return snapshot(PLACE, replies(**changes), 5000, Looks(waiting_since=2000), workers=None, queues=7)


def test_counts_join_both_lists_of_a_paused_queue() -> None:
    found = counted(meta=[b"1", b"10000", None, None, None, None])

    assert found is not None
    assert (found.waiting, found.is_paused, found.workers, found.oldest_waiting_seconds) == (7, True, None, 3.0)
    assert (found.active, found.delayed, found.prioritized, found.waiting_children) == (1, 5, 6, 7)
    assert (found.completed, found.failed, found.max_len_events, found.bullmq_version) == (8, 9, 10000, "")


def test_marker_of_an_older_bullmq_is_no_job_that_waits() -> None:
    found, gone = counted(next=b"0:1795330800000"), counted(wait=0, paused=0, next=b"0:1795330800000")

    assert found is not None
    assert gone is not None
    assert (found.waiting, gone.waiting) == (6, 0)


@pytest.mark.parametrize("bound", [b"", b"x", b"-1", b"9" * 400])
def test_odd_bound_is_no_bound(bound: bytes) -> None:
    found = counted(meta=[None, bound, b"\xff", bound, bound, bound])

    assert found is not None
    assert found.max_len_events == 0
    assert not found.is_paused


def test_key_of_another_type_leaves_the_queue_out() -> None:
    assert counted(meta=Refused("WRONGTYPE Operation")) is None


def test_server_that_refuses_everything_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable):
        counted(wait=Refused("BUSY Redis is busy"))


@pytest.mark.parametrize(
    ("prefix", "key", "queue"),
    [
        ("bull", "bull:mail:meta", "mail"),
        ("bull", "bull:mail:x:meta", None),
        ("bull", "bull::meta", None),
        ("bull", "other:mail:meta", None),
        ("a:b", "a:b:mail:meta", "mail"),
        ("a", "a:b:mail:meta", None),
        ("{bull}", "{bull}:mail:meta", "mail"),
        ("bull", "bull:meta", None),
        ("bull", "bull:מייל %:meta", "מייל %"),
    ],
)
def test_queue_is_read_from_its_meta_key(prefix: str, key: str, queue: str | None) -> None:
    assert queue_of_meta(prefix, key) == queue


@pytest.mark.parametrize(
    ("meta_max", "begun", "window", "is_limited", "seconds"),
    [
        (None, None, -2, False, None),
        (b"2", b"2", 400, True, 0.4),
        (b"2", b"1", 400, False, 0.4),
        (None, b"9007199254740991", 400, True, 0.4),
        (None, b"1", 400, None, 0.4),
        (b"2", b"2", -2, False, None),
        (b"2", Refused("NOPERM"), 400, None, None),
        (b"2", b"2", Refused("NOPERM"), None, None),
    ],
)
def test_limit_is_known_only_where_redis_holds_it(
    meta_max: Reply, begun: Reply, window: Reply, is_limited: bool | None, seconds: float | None
) -> None:
    found = counted(meta=[None, None, None, None, meta_max, b"1000"], begun=begun, window=window)

    assert found is not None
    assert (found.is_rate_limited, found.rate_limit_seconds) == (is_limited, seconds)


def test_job_that_ended_while_it_was_looked_at_is_not_told() -> None:
    """It has no lock because it has ended, not because its worker is dead."""
    assert parse_active("7", [0, [b"send", b"1000"], b"8"]) is None
    assert parse_active("7", [0, [b"send", b"1000"], None]) is None
    assert parse_active("7", [Refused("NOPERM"), [b"send", b"1000"], b"7"]) is None
    assert parse_active("7", [0, [b"send", b"1000"], b"7"]) == Active("7", "send", 1000, is_locked=False)
    assert parse_active("7", [1, [None, None], b"7"]) == Active("7", "", 0, is_locked=True)


def test_clock_of_the_apps_host_that_is_ahead_makes_no_negative_age() -> None:
    looks = Looks(active=Active("7", "send", 9000, is_locked=True))
    found = snapshot(PLACE, replies(), 5000, looks, workers=None, queues=7)

    assert found is not None
    assert found.longest_active_seconds == 0
