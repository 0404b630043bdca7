"""Of a queue that was let go nothing is kept: queues come and go for as long as a bridge runs."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.lag import Lags
from bridge.metrics import Metrics
from bridge.outbox import Outbox
from bridge.partition import polls
from bridge.partition.polls import Polls
from bridge.partition.share import Share
from bridge.record import Record
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.budget import Budget
from bridge.sources.bullmq.cursors import Restored
from bridge.sources.bullmq.reconcile.open_jobs import Room
from bridge.sources.bullmq.source import BullmqSource
from tests.eventually import eventually
from tests.held import texts_held
from tests.integration.bridge.by_hand import make_queue
from tests.integration.bridge.test_gone import delete
from tests.lanes import discovering
from tocsin.breakers import Breakers
from tocsin.events import JobEvent, QueueSnapshot, decode
from tocsin.health import Health
from tocsin.settings import read


class Owner:
    """Who owns the only partition; the test plays its writer. told: queues and events until now, or `counts`."""

    share: Share
    polls: Polls

    def __init__(self, redis_url: str) -> None:
        environ = {"REDIS_URL": redis_url, "KAFKA_BOOTSTRAP_SERVERS": "unused:1", "KAFKA_PARTITIONS": "1"}
        every = {f"BRIDGE_{what}_SECONDS": "0.1" for what in ("DISCOVERY", "POLL", "RECONCILE")}
        self._settings = settings = read(BridgeSettings, environ | every)
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self._lags = Lags(self.metrics)
        breakers = Breakers(settings, CollectorRegistry())
        self.source = BullmqSource(settings.sources[0], settings, self.metrics, Health(), breakers)
        self.begin()

    def begin(self) -> None:
        """Its writer is a new one: what was put and not committed is lost."""
        self._outbox = Outbox(lambda record: record, list[Record])
        of = self._settings, self.source, 0
        shared = self._outbox, self.metrics
        self.share = Share(*of, Restored(), *shared, self._lags, Room(), Budget(), asyncio.timeout)
        lent = self.share.places, self.share.tallies, self.share.memories, self.share.telling
        self.polls = Polls(*of, *lent, *shared, asyncio.timeout)
        self.committed: list[Callable[[], None]] = []
        self.told: set[tuple[str, str]] = set()

    def commit(self) -> None:
        """All that was put until now, and what was taken before."""
        self.take()
        for tell in self.committed:
            tell()
        self.committed.clear()

    def take(self) -> None:
        """What was put is on its way: nobody knows yet that it is in Kafka."""
        records, committed = self._outbox.take()
        self.committed += committed
        for one in records:
            kind = {"jobs": JobEvent, "queues": QueueSnapshot}.get(one.topic.rpartition(".")[2])
            if kind is not None and one.value is not None:
                told = decode(kind, one.value)
                self.told.add((told.queue, told.event if isinstance(told, JobEvent) else "counts"))

    async def until_told(self, queue: str, event: str) -> None:
        def is_told() -> bool:
            self.take()
            return (queue, event) in self.told

        await eventually(is_told, what=f"`{event}` of {queue}")

    def looking(self) -> AbstractAsyncContextManager[None]:
        """It looks for queues."""
        return discovering(self.source)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[None]:
        """It reads and polls what is found."""
        end = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for part in (self.share.read, self.polls.poll):
                group.create_task(part(end))
            yield
            end.set()

    def series_of(self, queue: str) -> set[str]:
        """The metrics that say something of a queue."""
        samples = [sample for metric in self.registry.collect() for sample in metric.samples]
        return {sample.name for sample in samples if sample.labels.get("queue") == queue}


@pytest.fixture
def owner(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Owner:
    async def nothing(*_: object) -> dict[bytes, bytes]:
        return {}

    monkeypatch.setattr(polls, "read_newest", nothing)
    return Owner(redis_url)


async def run_some(app: Any, queue: str) -> None:
    """A job that ends, one that stays open, and two that were not told of: one waits, one runs."""
    await make_queue(app, queue)
    for event in ({"event": "added", "name": "send"}, {"event": "waiting"}, {"event": "active"}):
        await app.xadd(f"bull:{queue}:events", {**event, "jobId": "1"})
    await app.xadd(f"bull:{queue}:events", {"event": "completed", "jobId": "1", "returnvalue": "1"})
    await app.xadd(f"bull:{queue}:events", {"event": "added", "jobId": "2", "name": "send"})
    await app.hset(f"bull:{queue}:3", mapping={"timestamp": "1000", "ats": "1", "name": "send"})
    await app.lpush(f"bull:{queue}:wait", "3")
    await app.hset(f"bull:{queue}:4", mapping={"timestamp": "1000", "ats": "1", "processedOn": "1000"})
    await app.lpush(f"bull:{queue}:active", "4")


async def test_what_is_committed_after_a_queue_was_let_go_makes_no_metrics_of_it_anew(owner: Owner, app: Any) -> None:
    async with owner.looking(), owner.reading():
        await run_some(app, "mail")
        await owner.until_told("mail", "completed")
        assert "bridge_events_relayed_total" in owner.series_of("mail")
        await delete(app, "mail")
        await owner.until_told("mail", "gone")
        assert ("mail", "reconciled") in owner.told
        owner.commit()
        assert owner.series_of("mail") == set()


async def test_nothing_is_remembered_of_a_queue_that_was_let_go(owner: Owner, app: Any) -> None:
    """Though others are read and polled on, in the same lane too."""
    async with owner.looking(), owner.reading():
        await make_queue(app, "other")
        await run_some(app, "mail")
        await owner.until_told("mail", "completed")

        def held() -> list[str]:
            owner.commit()
            return [text for by in (owner.share, owner.polls) for text in texts_held(by) if "mail" in text]

        await owner.until_told("mail", "counts")
        assert held()
        await delete(app, "mail")
        await owner.until_told("mail", "gone")
        await eventually(lambda: not held(), what="nothing of it held")


async def test_a_queue_that_was_gone_before_a_new_writer_is_waited_for_no_more(owner: Owner, app: Any) -> None:
    """Nothing of it was committed, so nobody knows that it was there; else its lag would grow for ever."""
    async with owner.looking():
        async with owner.reading():
            await run_some(app, "mail")
            await owner.until_told("mail", "completed")
            assert owner.metrics.longest_wait()
        await delete(app, "mail")

        def is_missed() -> bool:
            found = owner.source.discovery.found
            return found is not None and "mail" not in found.queues

        await eventually(is_missed, what="a scan without it")
        owner.begin()
        async with owner.reading():
            await make_queue(app, "other")
            await owner.until_told("other", "counts")
            owner.commit()
            assert owner.series_of("mail") == set()
            assert not owner.metrics.longest_wait()
