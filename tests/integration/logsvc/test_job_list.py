"""The list of jobs over real rows: windows of time, odd times, and pages that lose nothing."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from logsvc.api.job_list import JobItem, Wanted, newest_jobs
from logsvc.api.journal import Journal, Range, Where
from logsvc.batch import Feed, row_prefix, splice
from logsvc.search import parse
from logsvc.store import Store
from tocsin.events import JobEvent, encode

T0 = 1_795_000_000_000
HOUR = 3_600_000
JOBS = Feed("t.jobs", "journal", JobEvent, "event")
BEFORE = Range(None, T0 + 1)


def event(number: int, job_id: str, ts: int, **fields: Any) -> bytes:
    known: dict[str, Any] = {
        "v": 1,
        "id": f"i{number}",
        "ts": ts,
        "env": "prod",
        "source": "main",
        "queue": "orders",
        "epoch": 0,
        "stream_id": f"{number}-0",
        "event": "waiting",
        "state": "waiting",
        "job_id": job_id,
        "added_at": T0 - 5 * HOUR,
    }
    return splice(row_prefix(JOBS, "c", 0), number, encode(JobEvent(**(known | fields))))


async def told(store: Store, rows: Sequence[bytes], wanted: Wanted, limit: int) -> list[JobItem]:
    """Every job, page by page."""
    await store.insert("journal", b"\n".join(rows), "t")
    journal = Journal(store, lambda: None, time.time)
    since = await journal.since()
    page = await newest_jobs(journal, wanted, limit, since)
    items = page.items
    while page.next is not None:
        page = await newest_jobs(journal, replace(wanted, after=page.next), limit, since)
        items += page.items
    return items


def lately_with_a_past(past: dict[str, Any], **now: Any) -> list[bytes]:
    """Twelve jobs that changed in the last minute. What `past` says of them was told then, of job 3 hours ago."""
    rows = [event(n, str(n), T0 - n * 1000 - 500 - (4 * HOUR if n == 3 else 0), **past) for n in range(12)]
    return rows + [event(100 + n, str(n), T0 - n * 1000, **now) for n in range(12)]


@pytest.mark.parametrize(
    ("past", "now", "asked"),
    [
        ({"error": "Boom", "state": "retrying"}, {}, {"terms": parse("boom")}),
        ({"job_name": "charge"}, {}, {"names": ["charge"]}),
        ({"state": "failed"}, {"event": "duplicated", "state": "unknown"}, {"states": ["failed"]}),
        ({"job_name": "charge"}, {}, {}),
    ],
)
async def test_a_page_misses_no_job_for_what_was_said_of_it_long_before(
    store: Store, past: dict[str, Any], now: dict[str, Any], asked: dict[str, Any]
) -> None:
    items = await told(store, lately_with_a_past(past, **now), Wanted(Where(), BEFORE, **asked), 4)
    assert [item.job_id for item in items] == [str(n) for n in range(12)]
    assert {item.job_name for item in items} == {past.get("job_name", "")}
    assert {item.error for item in items} == {past.get("error", "")}


@pytest.mark.parametrize("added_at", [T0 * 1000, 2**53, 2**62, 4_200_000_000_000, 250_000_000_000_000, 0])
async def test_a_job_that_says_it_was_added_at_no_time_is_listed_like_any_other(store: Store, added_at: int) -> None:
    rows = [event(n, str(n), T0 - n * HOUR, job_name="charge", added_at=added_at) for n in range(10)]
    items = await told(store, rows, Wanted(Where(), BEFORE, names=["charge"]), 3)
    assert [item.job_id for item in items] == [str(n) for n in range(10)]


async def test_older_runs_of_an_id_wait_for_their_turn(store: Store) -> None:
    rows = [event(n, str(n), T0 - n * HOUR) for n in range(1, 8)]
    rows += [event(20, "9", T0 - 10), event(21, "9", T0 - 20 * HOUR, added_at=T0 - 21 * HOUR)]
    items = await told(store, rows, Wanted(Where(), BEFORE), 1)
    assert [item.job_id for item in items] == ["9", *map(str, range(1, 8)), "9"]


async def test_the_few_that_failed_are_told_page_by_page_as_all_are(store: Store) -> None:
    """Also one whose id was used again in another queue, and one that has gone on since it failed."""
    rows = [
        event(n, str(n), T0 - n * HOUR, **({"event": "failed", "state": "failed"} if n % 7 == 3 else {}))
        for n in range(60)
    ]
    rows.append(event(100, "10", T0 - HOUR, queue="mail", event="completed", state="completed"))
    rows.append(event(101, "17", T0 - 2 * HOUR, event="waiting"))
    failed = Wanted(Where(), BEFORE, states=["failed"])
    items = await told(store, rows, failed, 2)
    assert [item.job_id for item in items] == ["3", "10", "24", "31", "38", "45", "52", "59"]
    whole = await told(store, rows, Wanted(Where(), BEFORE), 5)
    assert [item for item in whole if item.state == "failed"] == items
