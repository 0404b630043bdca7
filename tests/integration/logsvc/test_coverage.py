"""What the history covers, held in memory."""

import asyncio
import time

import pytest

from logsvc.batch import Feed, row_prefix, splice
from logsvc.coverage import STALE_SECONDS, HistoryCoverage
from logsvc.errors import QueryTooHeavy
from logsvc.store import Store
from tests.eventually import eventually
from tocsin.events import JobEvent, encode

JOBS = Feed("t.jobs", "journal", JobEvent, "event")


def gap(offset: int, queue: str, lost: int) -> bytes:
    event = JobEvent(
        v=1,
        id=f"g{offset}",
        ts=int(time.time() * 1000) - offset,
        env="prod",
        source="main",
        queue=queue,
        epoch=0,
        stream_id="",
        event="gap",
        lost=lost,
    )
    return splice(row_prefix(JOBS, "c", 0), offset, encode(event))


def is_known(history: HistoryCoverage) -> bool:
    return history.known is not None


async def test_what_was_lost_is_told_by_queue_and_forgotten_when_it_is_old(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logsvc.coverage.REFRESH_SECONDS", 0.05)
    now = 0.0
    history = HistoryCoverage(store, clock=lambda: now)
    await store.insert("journal", b"\n".join([gap(1, "a", 5), gap(2, "b", 7), gap(3, "a", 1)]), "t")
    assert not is_known(history)
    stop = asyncio.Event()
    running = asyncio.create_task(history.run(stop))
    try:
        await eventually(lambda: is_known(history), what="coverage known")
        known = history.known
        assert known is not None
        assert known.oldest is not None
        assert [known.lost_of({"queue": queues}) for queues in ([], ["a"], ["b", "c"], ["c"])] == [13, 6, 7, 0]
        assert [gap["lost"] for gap in known.gaps] == [5, 7, 1]

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
