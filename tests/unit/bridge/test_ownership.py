"""Relays begin with an assignment and end with the service, and one that ends by itself is never overlooked."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from bridge.metrics import Metrics
from bridge.ownership import Ownership, Relay
from bridge.readiness import NEED, Readiness
from tocsin.health import Health
from tocsin.lifecycle import PartExited


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
        await asyncio.wait_for(running, 5)


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
