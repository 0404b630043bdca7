"""Jobs over real rows: windows of time, odd times, pages that lose nothing, and runs of one id."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from logsvc.api.job import find_run
from logsvc.api.job_list import JobItem, Wanted, newest_jobs
from logsvc.api.journal import Journal, Range, Where
from logsvc.api.newest import key_of, newest_rows
from logsvc.ingest.batch import Feed, row_prefix, splice
from logsvc.search import parse
from logsvc.store import Store
from tocsin.events import JobEvent, LogLine, encode
from tocsin.times import rfc3339

T0 = 1_795_000_000_000
HOUR = 3_600_000
LINES = Feed("t.logs", "journal", LogLine, "log")
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


def line(number: int, job_id: str, ts: int, message: str, added_at: int) -> bytes:
    place: dict[str, Any] = {"env": "prod", "source": "main", "queue": "orders", "job_id": job_id}
    one = LogLine(v=1, id=f"l{number}", ts=ts, message=message, added_at=added_at, **place)
    return splice(row_prefix(LINES, "c", 0), number, encode(one))


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


async def test_what_an_older_run_left_behind_is_not_taken_for_the_newest_one_s(store: Store) -> None:
    """The id was used again, moments after an event of its former run that does not know of which it is."""
    old, new = T0 - 5 * 24 * HOUR, T0 - 20_000
    rows = [event(n, str(n), T0 - n * HOUR) for n in range(1, 4)]
    rows += [event(10, "9", old, added_at=old), event(12, "9", new, added_at=new)]
    rows.append(event(11, "9", T0 - 40_000, event="failed", state="failed", error="Boom", attempt=3, added_at=0))
    items = await told(store, rows, Wanted(Where(), BEFORE), 1)
    assert [(item.job_id, item.added_at, item.error, item.attempt) for item in items[:2]] == [
        ("9", rfc3339(new), "", 0),
        ("9", rfc3339(old), "Boom", 3),
    ]


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


async def test_a_run_that_only_its_log_lines_know_is_found_by_them(store: Store) -> None:
    """Its events came when the hash was gone. Another job's events know an older run, one's are all known."""
    older, newer = T0 - 9 * HOUR, T0 - 2 * HOUR
    rows = [
        event(1, "a", T0 - 1000, event="removed", state="removed", added_at=0),
        event(2, "b", T0 - 8 * HOUR, event="completed", state="completed", added_at=older),
        event(3, "b", T0 - 2000, event="removed", state="removed", added_at=0),
        event(4, "c", T0 - 3000, event="failed", state="failed", added_at=newer),
    ]
    rows += [line(n, job_id, T0 - HOUR, "Card declined", newer) for n, job_id in enumerate("abc")]
    items = await told(store, rows, Wanted(Where(), BEFORE, terms=parse("declined")), 2)
    assert [(item.job_id, item.event, item.ts) for item in items] == [
        ("a", "removed", rfc3339(T0 - 1000)),
        ("b", "removed", rfc3339(T0 - 2000)),
        ("c", "failed", rfc3339(T0 - 3000)),
    ]
    assert {item.added_at for item in items} == {rfc3339(newer)}
    every = await told(store, rows, Wanted(Where(), BEFORE), 10)
    assert [(item.job_id, item.event) for item in every] == [("a", "removed"), ("b", "removed"), ("c", "failed")]


async def test_a_run_is_found_whole_however_many_rows_the_newer_ones_have(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logsvc.api.job.MOST_TIMELINE_ROWS", 5)
    old, new = T0 - 5 * HOUR, T0 - 2 * HOUR
    rows = [event(n, "7", old + n, added_at=old) for n in range(3)]
    rows += [event(3, "7", old - 10, added_at=0), event(4, "7", old + HOUR, state="failed", added_at=0)]
    rows += [event(10 + n, "7", new + n, added_at=new) for n in range(6)]
    rows += [event(20, "8", T0, added_at=0)]
    await store.insert("journal", b"\n".join(rows), "t")
    journal = Journal(store, lambda: None, time.time)
    names = {"source": "main", "queue": "orders", "job_id": "7"}
    newest = await find_run(journal, names, None)
    assert [(run.added_at, run.state) for run in newest.runs] == [(rfc3339(new), "waiting"), (rfc3339(old), "failed")]
    assert (newest.added_at, newest.is_cut) == (new, True)
    page = await newest_jobs(journal, Wanted(Where(), BEFORE, job_ids=["7"]), 9, await journal.since())
    listed = [(item.added_at, item.state, item.ts) for item in page.items]
    assert listed == [(run.added_at, run.state, run.last_ts) for run in newest.runs], "the list says the same"
    assert [row.ts for row in newest.rows] == [rfc3339(new + n) for n in range(1, 6)]
    older = await find_run(journal, names, old)
    assert (older.added_at, older.is_cut) == (old, False), "as many as are shown are no cut"
    assert [row.ts for row in older.rows] == [rfc3339(old + after) for after in (-10, 0, 1, 2, HOUR)]
    assert (await find_run(journal, names, old + 1)).rows == []
    unknown = await find_run(journal, names | {"job_id": "8"}, None)
    assert (unknown.added_at, len(unknown.rows)) == (0, 1)
    assert (await find_run(journal, names | {"job_id": "9"}, None)).runs == []


async def test_a_job_that_changes_between_two_pages_is_told_as_it_was_at_the_first(store: Store) -> None:
    await store.insert("journal", b"\n".join(event(n, f"j{n}", T0 + n) for n in range(4)), "t")
    clock = iter([T0 + 100, T0 + 300, T0 + 500])
    journal = Journal(store, lambda: None, lambda: next(clock) / 1000)
    wanted, since, listed = Wanted(Where(), Range(None, None)), await journal.since(), list[tuple[str, str]]()
    for number, job_id in enumerate(["j0", "j3", "j1"]):
        page = await newest_jobs(journal, wanted, 2 if not number else 1, since)
        listed += [(item.job_id, item.state) for item in page.items]
        wanted = replace(wanted, after=page.next)
        after = event(10 + number, job_id, T0 + 200 * (number + 1), event="active", state="active")
        await store.insert("journal", after, f"t{number}")
    assert wanted.after is None
    assert listed == [("j3", "waiting"), ("j2", "waiting"), ("j1", "waiting"), ("j0", "waiting")]


async def test_large_rows_are_told_as_far_as_they_fit_and_pages_of_them_lose_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes are bounded, not rows alone; of a job its events come first, so that no attempt is lost to its lines."""
    monkeypatch.setattr("logsvc.api.newest.FEW_ROWS", 4)
    monkeypatch.setattr("logsvc.api.job.FEW_ROWS", 4)
    added = T0 - 5 * HOUR
    rows = [event(n, "7", added + n, data="x" * 1_000) for n in range(2)]
    rows += [line(n, "7", T0 - n * HOUR // 4, f"{n} " + "y" * 16_000, added) for n in range(12)]
    await store.insert("journal", b"\n".join(rows), "t")
    journal = Journal(store, lambda: None, time.time)
    since, after, pages = await journal.since(), None, list[list[str]]()
    while not pages or after is not None:
        found = await newest_rows(journal, Where(), Range(None, None), after, 5, since, most_bytes=60_000)
        pages.append([str(row["id"]) for row in found.rows])
        after = key_of(found.rows[-1]) if found.has_more else None
    assert [one for page in pages for one in page] == [*(f"l{n}" for n in range(12)), "i1", "i0"]
    assert [len(page) for page in pages] == [4, 4, 5, 1], "the fourth is the one that no longer fits"
    monkeypatch.setattr("logsvc.api.job.ANSWER_BYTES", 40_000)
    run = await find_run(journal, {"source": "main", "queue": "orders", "job_id": "7"}, None)
    assert [row.id for row in run.rows] == ["i0", "i1", "l2", "l1", "l0"]
    assert run.is_cut
