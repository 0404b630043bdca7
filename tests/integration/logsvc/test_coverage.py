"""What the history covers: held in memory, and told with every answer."""

import asyncio
import time

import pytest

from logsvc.api.journal import Journal, Range, sets
from logsvc.coverage import ANY_ROWS, STALE_SECONDS, HistoryCoverage, Losses
from logsvc.errors import QueryTooHeavy
from logsvc.ingest.batch import Feed, row_prefix, splice
from logsvc.store import QUERY_LIMITS, Store
from tests.eventually import eventually
from tocsin.events import JobEvent, encode

JOBS = Feed("t.jobs", "journal", JobEvent, "event")


NOW = int(time.time() * 1000)


def event(offset: int, queue: str, kind: str = "completed", lost: int = 0, env: str = "prod") -> bytes:
    one = JobEvent(
        v=1,
        id=f"g{offset}",
        ts=NOW - offset,
        env=env,
        source="main",
        queue=queue,
        epoch=0,
        stream_id="",
        event=kind,
        lost=lost,
    )
    return splice(row_prefix(JOBS, "c", 0), offset, encode(one))


def gap(offset: int, queue: str, lost: int, env: str = "prod") -> bytes:
    return event(offset, queue, "gap", lost, env)


async def is_told_with_every_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the millisecond, from a history of more rows than a question may read, with its projection and without."""
    journal = Journal(store, lambda: None, time.time)

    async def lost(earliest: int | None, latest: int | None, *queues: str) -> int | None:
        return (await journal.coverage(Range(earliest, latest), sets({"queue": queues}), None)).events_lost

    with pytest.raises(QueryTooHeavy):
        await store.query(
            "SELECT sum(lost) AS lost FROM journal WHERE ts > 0", settings={"optimize_use_projections": 0}
        )
    for forced in (1, 0):
        with monkeypatch.context() as patch:
            patch.setitem(ANY_ROWS, "force_optimize_projection", forced)
            assert await lost(None, None) == 13
            assert await lost(None, None, "a") == 6
            assert await lost(NOW - 2, None) == 12
            assert await lost(NOW - 2, NOW - 1) == 7
            assert await lost(None, NOW - 2) == 1
        assert await lost(NOW, NOW) == 0
        await store.command("ALTER TABLE journal DROP PROJECTION IF EXISTS gaps")


def is_known(history: HistoryCoverage) -> bool:
    return history.known is not None


async def test_what_was_lost_is_told_by_queue_and_forgotten_when_it_is_old(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logsvc.coverage.REFRESH_SECONDS", 0.05)
    now = 0.0
    history = HistoryCoverage(store, clock=lambda: now)
    monkeypatch.setitem(QUERY_LIMITS, "max_rows_to_read", 2)
    lines = [gap(1, "a", 5), gap(2, "b", 7), gap(3, "a", 1), *(event(offset, "a") for offset in range(4, 9))]
    await store.insert("journal", b"\n".join(lines), "t")
    await is_told_with_every_answer(store, monkeypatch)
    # So many that they would fill a list of the newest of all.
    loud = [gap(10 + number, "c", 1, "staging") for number in range(120)]
    await store.insert("journal", b"\n".join(loud), "t2")
    assert not is_known(history)
    stop = asyncio.Event()
    running = asyncio.create_task(history.run(stop))
    try:
        await eventually(lambda: is_known(history), what="coverage known")
        known = history.known
        assert known is not None
        assert known.oldest is not None
        assert [known.lost_of({"queue": queues}) for queues in ([], ["a"], ["b", "c"], ["d"])] == [133, 6, 127, 0]
        assert [gap["lost"] for gap in known.gaps if gap["env"] == "prod"] == [5, 7, 1]
        assert len(known.gaps) == 3 + 100
        assert sorted(known.week, key=lambda one: one.env) == [Losses("prod", 3, 13), Losses("staging", 120, 120)]

        async def too_heavy(*_: object, **__: object) -> list[dict[str, object]]:
            raise QueryTooHeavy("too heavy")

        with monkeypatch.context() as patch:
            patch.setattr(store, "query", too_heavy)
            await eventually(lambda: not is_known(history), what="coverage unknown")
        await eventually(lambda: is_known(history), what="coverage known again")
    finally:
        stop.set()
        await running
    now += STALE_SECONDS
    assert not is_known(history)
