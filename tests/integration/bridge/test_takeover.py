"""What makes a takeover exactly once is its order: the writer is opened, then the cursors are read, then Redis."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.metrics import Metrics
from bridge.partition import relay
from bridge.readiness import Readiness
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.source import BullmqSource
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.kafka_reader import KafkaReader
from tocsin.breakers import Breakers, Guard
from tocsin.health import Health
from tocsin.settings import read
from tocsin.topic_admin import until_topics_fit


class Replica:
    """One replica of partition 0, inside the test."""

    def __init__(self, settings: BridgeSettings) -> None:
        self._registry = CollectorRegistry()
        metrics, health = Metrics(self._registry), Health()
        breakers = Breakers(settings, self._registry)
        self.source = BullmqSource(settings.sources[0], settings, metrics, health, breakers)
        self.relay = relay.Relay(settings, [self.source], metrics, Readiness(health), asyncio.timeout)
        self.end = asyncio.Event()

    @property
    def was_lost(self) -> bool:
        """Whether its writer was fenced."""
        return bool(self._registry.get_sample_value("bridge_partition_restarts_total"))

    @asynccontextmanager
    async def looking(self) -> AsyncGenerator[None]:
        """Its discovery runs."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.source.run(stop))
        try:
            yield
        finally:
            stop.set()
            await task
            await self.source.close()


async def test_cursors_are_read_only_after_the_former_owner_is_fenced(
    kafka_bootstrap: str, topic_prefix: str, redis_url: str, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B is held while it reads the cursors; A tries to commit all the time; then B goes on from what it read."""
    settings = read(
        BridgeSettings,
        {
            "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
            "KAFKA_TOPIC_PREFIX": topic_prefix,
            "KAFKA_PARTITIONS": "1",
            "REDIS_URL": redis_url,
            "BRIDGE_DISCOVERY_SECONDS": "0.2",
        },
    )
    await until_topics_fit(settings, asyncio.Event())
    await make_queue(app, "mail")
    await add_events(app, "mail", 10)
    is_held, held, may_go_on = False, asyncio.Event(), asyncio.Event()
    read_cursors = relay.read_cursors

    async def holding(settings: BridgeSettings, partition: int, guard: Guard) -> dict[bytes, bytes]:
        values = await read_cursors(settings, partition, guard)
        if is_held:
            held.set()
            await may_go_on.wait()
        return values

    monkeypatch.setattr(relay, "read_cursors", holding)
    former, owner = Replica(settings), Replica(settings)
    async with (
        KafkaReader(kafka_bootstrap, topic_prefix) as reader,
        former.looking(),
        owner.looking(),
        asyncio.timeout(100),
        asyncio.TaskGroup() as group,
    ):

        async def are_told(count: int) -> bool:
            return len((await reader.read()).of_queue("mail")) >= count

        first = group.create_task(former.relay.run(0, former.end))
        await eventually(lambda: are_told(10), seconds=40, what="ten events")
        is_held = True
        group.create_task(owner.relay.run(0, owner.end))
        await held.wait()
        is_held = False
        await add_events(app, "mail", 10, first=10)

        async def has_tried() -> bool:
            return former.was_lost or await are_told(20)

        await eventually(has_tried, what="the former owner's next transaction, committed or refused")
        former.end.set()
        await asyncio.wait({first})
        may_go_on.set()
        await add_events(app, "mail", 10, first=20)
        await eventually(lambda: are_told(30), seconds=40, what="all thirty events")
        owner.end.set()
    events = reader.all.of_queue("mail")
    assert [event.job_id for event in events] == [f"job-{number}" for number in range(30)]
