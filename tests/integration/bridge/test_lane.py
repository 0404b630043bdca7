"""One lane on a real Redis, with a writer that the test plays."""

import asyncio
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from bridge.cursors import Restored
from bridge.kafka import Record
from bridge.metrics import Metrics
from bridge.outbox import Committed, Outbox
from bridge.records import Records
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.lane import Lane
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.translate import Place
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tocsin.topics import Topics


class FullOutbox(Outbox):
    """It has no room until the test says so."""

    def __init__(self) -> None:
        super().__init__(lambda record: record)
        self.asked = asyncio.Event()
        self.room = asyncio.Event()

    async def put(self, records: Sequence[Record], committed: Committed | None = None) -> None:
        self.asked.set()
        await self.room.wait()
        await super().put(records, committed)


async def test_queue_counts_as_met_only_once_its_cursor_is_on_its_way(app: Any, redis_url: str) -> None:
    """Else a scan told meanwhile, and a kill, would make it one created after that scan."""
    await make_queue(app, "mail")
    await add_events(app, "mail", 3)
    door, outbox, end = Door(redis_url), FullOutbox(), asyncio.Event()
    metrics = Metrics(CollectorRegistry())
    lane = Lane("main", "main", door, outbox, Records(Topics("t.")), metrics, asyncio.Semaphore())
    lane.add(Place("prod", "main", "mail"), "bull", Position(is_first_contact=True), Restored())
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await outbox.asked.wait()
        assert not lane.has_met_all
        outbox.room.set()
        await eventually(lambda: lane.has_met_all, what="the queue met")
        assert outbox.take()[0][-1].key == b"main:main:mail"
        end.set()
    await door.close()
