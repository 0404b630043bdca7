"""Relays begin with an assignment and end with the service, and one that ends by itself is never overlooked."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from bridge.errors import WriterLost
from bridge.metrics import Metrics
from bridge.partition import relay as relay_module
from bridge.partition.ownership import Ownership, Relay
from bridge.readiness import NEED, Readiness
from bridge.settings import BridgeSettings
from tests.eventually import READY_SECONDS
from tocsin.health import Health
from tocsin.lifecycle import PartExited
from tocsin.settings import read


async def until_ended(_: int, end: asyncio.Event) -> None:
    await end.wait()


async def test_nothing_begins_once_the_service_stops() -> None:
    """A rebalance may end after the stop."""
    ownership, stop = Ownership(until_ended, Metrics(CollectorRegistry()), Readiness(Health())), asyncio.Event()
    running = asyncio.create_task(ownership.run(stop))
    await ownership.assigned([0])
    stop.set()
    await running
    await ownership.assigned([0, 1])
    assert ownership.partitions == []


async def test_nothing_is_relayed_while_the_place_in_the_group_is_lost() -> None:
    """Others are given what was ours: none of it is kept, and we are not ready until we are a member again."""
    health = Health(NEED)
    ownership, stop = Ownership(until_ended, Metrics(CollectorRegistry()), Readiness(health)), asyncio.Event()
    running = asyncio.create_task(ownership.run(stop))
    await ownership.assigned([0, 1])
    await ownership.lost()
    assert ownership.partitions == []
    assert health.missing() == [NEED]
    await ownership.assigned([])
    assert health.missing() == []
    stop.set()
    await running


async def cancels_itself(_partition: int, _end: asyncio.Event) -> None:
    raise asyncio.CancelledError


async def returns(_partition: int, _end: asyncio.Event) -> None:
    pass


@pytest.mark.parametrize("relay", [cancels_itself, returns])
async def test_relay_that_ends_by_itself_ends_the_service(relay: Relay) -> None:
    ownership = Ownership(relay, Metrics(CollectorRegistry()), Readiness(Health()))
    running = asyncio.create_task(ownership.run(asyncio.Event()))
    await asyncio.sleep(0)
    await ownership.assigned([3])
    with pytest.raises(PartExited):
        await asyncio.wait_for(running, READY_SECONDS)


def test_replica_is_ready_when_every_partition_it_was_given_is_restored() -> None:
    health = Health(NEED)
    readiness = Readiness(health)
    assert health.missing() == [NEED]
    readiness.given([])
    assert health.missing() == [], "with nothing to do it stands by"
    readiness.given([0, 1])
    readiness.begun(0)
    assert health.missing() == [NEED]
    readiness.begun(1)
    assert health.missing() == []
    readiness.lost(0)
    readiness.begun(1)
    assert health.missing() == [NEED], "one partition's success hides no other's loss"
    readiness.left(0)
    assert health.missing() == []


async def test_only_some_partitions_are_restored_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All records of each are held meanwhile."""
    reading, end, go_on = list[int](), asyncio.Event(), asyncio.Event()

    async def read_cursors(_settings: object, partition: int, _guard: object) -> dict[bytes, bytes]:
        reading.append(partition)
        await go_on.wait()
        raise WriterLost("it was a test")

    @asynccontextmanager
    async def opened(*_: object) -> AsyncGenerator[None]:
        yield

    monkeypatch.setattr(relay_module, "read_cursors", read_cursors)
    monkeypatch.setattr(relay_module, "Writer", opened)
    settings = read(BridgeSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "REDIS_URL": "redis://h:6379/0"})
    relays = relay_module.Relay(settings, [], Metrics(CollectorRegistry()), Readiness(Health()), asyncio.timeout)
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        for partition in range(5):
            group.create_task(relays.run(partition, end))
        for _ in range(20):
            await asyncio.sleep(0)
        assert reading == [0, 1]
        end.set()
        go_on.set()
    assert sorted(reading) == [0, 1, 2, 3, 4]
