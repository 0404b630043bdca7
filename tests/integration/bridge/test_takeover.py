"""What makes a takeover exactly once is its order: the writer is opened, then the cursors are read, then Redis."""

import asyncio
import gc
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.kafka import Writer
from bridge.metrics import Metrics
from bridge.partition import relay
from bridge.readiness import Readiness
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.logs.tail import LogTail
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.source import BullmqSource
from bridge.sources.bullmq.stream import Recent
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.kafka_reader import KafkaReader
from tests.lanes import discovering
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

    def looking(self) -> AbstractAsyncContextManager[None]:
        """Its discovery runs."""
        return discovering(self.source)


def settings_of(kafka: str, prefix: str, redis_url: str) -> BridgeSettings:
    return read(
        BridgeSettings,
        {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_TOPIC_PREFIX": prefix,
            "KAFKA_PARTITIONS": "1",
            "REDIS_URL": redis_url,
            "BRIDGE_DISCOVERY_SECONDS": "0.2",
        },
    )


def held(kind: type[object]) -> int:
    """How many there are that remember something; what was told is held until Kafka's answer to it was heard."""
    return sum(bool(one) for one in gc.get_objects() if isinstance(one, kind))


@pytest.fixture
def no_collector() -> Generator[None]:
    """What is not given back at once stays."""
    gc.disable()
    yield
    gc.enable()


async def test_cursors_are_read_only_after_the_former_owner_is_fenced(
    kafka_bootstrap: str, topic_prefix: str, redis_url: str, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B is held while it reads the cursors; A tries to commit all the time; then B goes on from what it read."""
    settings = settings_of(kafka_bootstrap, topic_prefix, redis_url)
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
        asyncio.timeout(READY_SECONDS),
        asyncio.TaskGroup() as group,
    ):

        async def are_told(count: int) -> bool:
            return len((await reader.read()).of_queue("mail")) >= count

        first = group.create_task(former.relay.run(0, former.end))
        await eventually(lambda: are_told(10), what="ten events")
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
        await eventually(lambda: are_told(30), what="all thirty events")
        owner.end.set()
    events = reader.all.of_queue("mail")
    assert [event.job_id for event in events] == [f"job-{number}" for number in range(30)]


@pytest.mark.usefixtures("no_collector")
async def test_what_was_remembered_of_queues_is_given_back_with_a_lost_writer(
    kafka_bootstrap: str, topic_prefix: str, redis_url: str, app: Any
) -> None:
    """All that a bridge may remember, at each outage of Kafka: the collector comes by too seldom for that."""
    settings = settings_of(kafka_bootstrap, topic_prefix, redis_url)
    await until_topics_fit(settings, asyncio.Event())
    await make_queue(app, "mail")
    await app.xadd("bull:mail:events", {"event": "active", "jobId": "runs", "prev": "waiting"})
    await app.hset("bull:mail:runs", mapping={"name": "send", "opts": "{}", "timestamp": 1000, "ats": 1})
    await app.rpush("bull:mail:runs:logs", "hello")
    owner, told = Replica(settings), 1
    async with (
        KafkaReader(kafka_bootstrap, topic_prefix) as reader,
        owner.looking(),
        asyncio.timeout(READY_SECONDS),
        asyncio.TaskGroup() as group,
    ):
        group.create_task(owner.relay.run(0, owner.end))

        async def are_told() -> bool:
            records = await reader.read()
            return len(records.of_queue("mail")) >= told and bool(records.logs)

        for lost in range(3):
            if lost:
                async with Writer(settings, 0, asyncio.timeout):
                    pass  # the owner's is fenced
            await add_events(app, "mail", 10, first=told)
            told += 10
            await eventually(are_told, what=f"{told} events")
        assert owner.was_lost
        for kind in (QueueMemory, LogTail, Recent):
            await eventually(lambda kind=kind: held(kind) == 1, what=f"{kind.__name__}: one alone is read from")
        owner.end.set()
