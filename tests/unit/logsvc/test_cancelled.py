"""What reads Kafka beside others never ends unseen when a client cancels what it waited for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from logsvc.ingest.batch import feeds
from logsvc.ingest.ingest import Ingest
from logsvc.live.refresh_feed import RefreshFeed
from logsvc.metrics import Metrics
from logsvc.partitions import Place
from logsvc.settings import LogsvcSettings
from logsvc.snapshots import Snapshots
from tests.eventually import READY_SECONDS
from tests.unit.logsvc.test_lane import FakeLetters, FakeTable
from tocsin.health import Health
from tocsin.lifecycle import PartExited
from tocsin.settings import read

DEADLINE = READY_SECONDS


async def cancelled(*_: object) -> Any:
    """What a library does to whoever waits for a request of its own that it gave up."""
    waited_for = asyncio.get_running_loop().create_future()
    waited_for.cancel()
    await waited_for


class Cancelled:
    """A client that is reached, and whose first answer is cancelled."""

    end: dict[Place, int] = {}  # noqa: RUF012  # as logsvc.kafka.Reader has them
    start = begin = end

    def __init__(self, *_: object, **__: object) -> None: ...

    async def __aenter__(self) -> "Cancelled":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    poll = cancelled


class Member(Cancelled):
    """Gives one partition, of which Kafka's answers are cancelled."""

    cluster_id = "c"
    committed = cancelled

    def __init__(self, _: object, topics: Sequence[str], *, on_assigned: Any, **__: object) -> None:
        self._topics = topics
        self._on_assigned = on_assigned

    async def __aenter__(self) -> "Member":
        await self._on_assigned([Place(self._topics[0], 0)])
        return self

    async def poll(self) -> dict[Place, Sequence[object]]:
        await asyncio.sleep(0)
        return {}

    def stable_end(self, _: Place) -> None: ...


def ingest(settings: LogsvcSettings) -> Callable[[asyncio.Event], Awaitable[None]]:
    return Ingest(settings, feeds(settings.topics), FakeTable(), FakeLetters(), Metrics(CollectorRegistry())).run


def snapshots(settings: LogsvcSettings) -> Callable[[asyncio.Event], Awaitable[None]]:
    return Snapshots(settings, Health()).run


def refreshes(settings: LogsvcSettings) -> Callable[[asyncio.Event], Awaitable[None]]:
    return RefreshFeed(settings).run


@pytest.mark.parametrize("part", [ingest, snapshots, refreshes])
async def test_a_reader_that_was_cancelled_by_its_client_ends_the_part(
    part: Callable[[LogsvcSettings], Callable[[asyncio.Event], Awaitable[None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logsvc.ingest.ingest.Member", Member)
    monkeypatch.setattr("logsvc.snapshots.Reader", Cancelled)
    monkeypatch.setattr("logsvc.live.refresh_feed.Reader", Cancelled)
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": "chdb:///nowhere"})
    with pytest.raises(ExceptionGroup) as told:
        async with asyncio.timeout(DEADLINE):
            await part(settings)(asyncio.Event())
    assert told.group_contains(PartExited)
