"""The ingest of one replica, as the group tells it of partitions."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from logsvc.ingest.batch import feeds
from logsvc.ingest.ingest import Ingest
from logsvc.metrics import Metrics
from logsvc.partitions import Committed, Place
from logsvc.settings import LogsvcSettings
from tests.eventually import READY_SECONDS
from tests.unit.logsvc.test_lane import FakeLetters, FakeTable
from tocsin.settings import read

DEADLINE = READY_SECONDS


class LateAssigned:
    """A member that is stopped in the midst of a rebalance, which gives it a partition as it leaves."""

    cluster_id = "c"

    def __init__(self, stop: asyncio.Event, topic: str, on_assigned: Any) -> None:
        self._stop = stop
        self._topic = topic
        self._on_assigned = on_assigned

    async def __aenter__(self) -> "LateAssigned":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._on_assigned([Place(self._topic, 0)])

    async def poll(self) -> Mapping[Place, Sequence[object]]:
        await asyncio.sleep(0)
        self._stop.set()
        return {}

    async def committed(self, _: Place) -> Committed:
        await asyncio.Event().wait()
        raise AssertionError


async def test_who_is_stopped_in_a_rebalance_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = asyncio.Event()

    def member(_: object, topics: Sequence[str], *, on_assigned: Any, **__: object) -> LateAssigned:
        return LateAssigned(stop, topics[0], on_assigned)

    monkeypatch.setattr("logsvc.ingest.ingest.Member", member)
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": "chdb:///nowhere"})
    ingest = Ingest(settings, feeds(settings.topics), FakeTable(), FakeLetters(), Metrics(CollectorRegistry()))
    async with asyncio.timeout(DEADLINE):
        await ingest.run(stop)
    assert not ingest.lanes
