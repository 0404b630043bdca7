"""Which jobs may have waited longest, and what their hashes say of it."""

import pytest

from bridge.sources.bullmq.door import Refused, Reply
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.snapshots.waiting import (
    COMMANDS_PER_JOB,
    FIELDS,
    TAILS,
    Candidate,
    Hashed,
    Waits,
    at_ends,
    end_commands,
    job_commands,
    parse_job,
    planned_for,
    ready_at,
    tail_commands,
)

KEYS = Keys("bull", "mail")


def hashed(job_id: str = "1", children: Reply = 0, **fields: bytes) -> Hashed | None:
    return parse_job(job_id, [[fields.get(name) for name in FIELDS], children])


def test_only_ends_that_hold_other_jobs_are_asked_for() -> None:
    def asked(wait: int, paused: int, prioritized: int) -> list[tuple[object, ...]]:
        return [tuple(one) for one in end_commands(KEYS, wait=wait, paused=paused, prioritized=prioritized)]

    assert len(tail_commands(KEYS)) == TAILS
    assert len(job_commands(KEYS, "1")) == COMMANDS_PER_JOB
    assert asked(1, 1, 0) == []
    assert asked(2, 0, 1) == [("LINDEX", "bull:mail:wait", 0), ("ZRANGE", "bull:mail:prioritized", 0, 0)]
    assert [one[2] for one in asked(2, 2, 2)] == [0, 0, 0, -1]


def test_each_job_at_an_end_is_a_candidate_once_and_markers_are_none() -> None:
    assert at_ends([b"1", None, b"2", b"0:1795330800000", [b"3"], [b"1"], Refused("NOPERM")]) == ["1", "2", "3"]
    assert at_ends([None, []]) == []


@pytest.mark.parametrize(
    ("job_id", "planned"),
    [("repeat:tick:1795330800000", 1795330800000), ("repeat:a:b:7", 7), ("repeat:x", 0), ("a:b:7", 0), ("7", 0)],
)
def test_schedulers_job_is_planned_for_the_time_in_its_id(job_id: str, planned: int) -> None:
    assert planned_for(job_id) == planned


def test_hash_tells_when_a_job_was_due() -> None:
    assert hashed(timestamp=b"1000", opts=b"{}") == Hashed(1000, 1000, 0, 0, is_untried=True)
    assert hashed(timestamp=b"1000", opts=b'{"delay":500}') == Hashed(1000, 1500, 0, 0, is_untried=True)
    assert hashed("repeat:tick:1700", timestamp=b"1000", opts=b'{"delay":699}') == Hashed(1000, 1700, 0, 0, True)
    assert hashed("repeat:tick:900", timestamp=b"1000") == Hashed(1000, 1000, 0, 0, is_untried=True)


@pytest.mark.parametrize("field", ["ats", "atm", "attemptsMade", "stc", "processedOn"])
def test_job_that_ran_is_not_told_by_its_hash(field: str) -> None:
    found = parse_job("1", [[b"1" if name in ("timestamp", field) else None for name in FIELDS], 0])
    assert found is not None
    assert not found.is_untried


@pytest.mark.parametrize("children", [1, 2, Refused("TRYAGAIN")])
def test_job_that_had_children_is_not_told_by_its_hash(children: Reply) -> None:
    found = hashed(timestamp=b"1000", children=children)
    assert found is not None
    assert ready_at(Candidate("1"), found, 5000) is None


def test_job_that_is_gone_or_has_ended_waits_no_more() -> None:
    assert hashed() is None
    assert hashed(timestamp=b"1000", finishedOn=b"2000") is None
    assert parse_job("1", [Refused("WRONGTYPE"), 0]) is None


def test_what_is_not_due_was_promoted_and_nobody_knows_when() -> None:
    job = Hashed(1000, 9000, 0, 0, is_untried=True)
    assert ready_at(Candidate("1"), job, 5000) is None
    assert ready_at(Candidate("1"), job, 9000) == 9000
    assert ready_at(Candidate("1", since=4000), job, 5000) == 4000


@pytest.mark.parametrize(
    ("runs", "job", "at"),
    [
        (1, Hashed(1000, 1000, 1, 3000, is_untried=False), 4000),
        (1, Hashed(1000, 1000, 2, 4100, is_untried=False), None),
        (None, Hashed(1000, 1000, 2, 6000, is_untried=False), 4000),
        (None, Hashed(1000, 1000, 2, 6001, is_untried=False), None),
        (1, Hashed(1000, 1000, None, 3000, is_untried=False), 4000),
        (1, Hashed(7000, 7000, 1, 0, is_untried=False), None),
    ],
)
def test_what_is_remembered_holds_until_the_hash_says_otherwise(runs: int | None, job: Hashed, at: int | None) -> None:
    assert ready_at(Candidate("1", since=4000, runs=runs, added_at=1000), job, 9000) == at


def test_job_that_only_the_memory_has_is_no_candidate_where_none_waits() -> None:
    memory = QueueMemory()
    memory.wait("1", since=4000)
    waits = Waits({"mail": memory})
    assert waits.candidates("mail", [None, None]) == []
    assert waits.candidates("mail", [b"2", None]) == [Candidate("2"), Candidate("1", is_there=False, since=4000)]
    assert waits.candidates("other", [b"2", None]) == [Candidate("2")]


def test_unknown_wait_counts_from_when_it_was_first_seen_until_the_job_runs() -> None:
    waits, one = Waits({}), [Candidate("1")]
    assert waits.longest("mail", one, [Hashed(1000, 1000, 1, 2000, is_untried=False)], 5000) == 5000
    assert waits.longest("mail", one, [Hashed(1000, 1000, 1, 2000, is_untried=False)], 6000) == 5000
    assert waits.longest("mail", one, [Hashed(1000, 1000, 2, 6500, is_untried=False)], 7000) == 7000
    assert waits.longest("mail", [], [], 8000) is None
    assert waits.longest("mail", one, [Hashed(1000, 1000, 2, 6500, is_untried=False)], 9000) == 9000


def test_wait_that_was_seen_is_forgotten_with_its_queue() -> None:
    waits, one = Waits({}), [Candidate("1")]
    for queue in ("mail", "other"):
        waits.longest(queue, one, [Hashed(1000, 1000, 1, 2000, is_untried=False)], 5000)
    waits.keep_only({"other"})
    assert waits.longest("mail", one, [Hashed(1000, 1000, 1, 2000, is_untried=False)], 6000) == 6000
    assert waits.longest("other", one, [Hashed(1000, 1000, 1, 2000, is_untried=False)], 6000) == 5000
