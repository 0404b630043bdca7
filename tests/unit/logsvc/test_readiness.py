"""A Kafka that goes away takes what is new, and not the page that says so."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from prometheus_client import CollectorRegistry

from logsvc.errors import KafkaDown
from logsvc.ingest.ingest import Ingest
from logsvc.live.hub import Hub
from logsvc.live.ring import Ring
from logsvc.live.tail import Tail
from logsvc.metrics import Metrics
from logsvc.readiness import degraded
from logsvc.settings import LogsvcSettings
from tests.eventually import eventually
from tests.unit.logsvc.test_settings import GOOD
from tocsin.breakers import Breakers
from tocsin.health import RECENT_SECONDS, Health
from tocsin.settings import read


class Dying:
    """A Kafka that answers once."""

    cluster_id, start, is_resumed = "c", dict[Any, int](), False

    def __init__(self, *_: object, **__: object) -> None:
        self.polls = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def poll(self) -> dict[Any, Any]:
        self.polls += 1
        if self.polls > 1:
            raise KafkaDown("gone")
        return {}

    async def positions(self) -> dict[Any, int]:
        return {}

    def heard_at(self) -> int:
        return int(time.time() * 1000)


async def test_a_page_that_was_ready_stays_so_without_kafka_and_says_it_hears_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("logsvc.live.tail.Reader", Dying)
    settings, now = read(LogsvcSettings, GOOD), [0.0]
    hub = Hub(Ring(10, 1000), Metrics(CollectorRegistry()))
    health, stop, migrated = Health("kafka", clock=lambda: now[0]), asyncio.Event(), asyncio.Event()
    health.degraded = lambda: degraded(
        Breakers(settings, CollectorRegistry()), migrated.is_set, cast(Ingest, SimpleNamespace(retrying=0)), hub
    )
    assert (health.missing(), health.degraded()) == (["kafka"], ["clickhouse"])
    migrated.set()
    assert health.degraded() == []
    tail = asyncio.create_task(Tail(settings, hub, health).run(stop))
    await eventually(lambda: health.missing() == [], what="ready")
    assert health.degraded() == []
    stop.set()
    await tail
    now[0] += 10 * RECENT_SECONDS
    hub.as_of_ms -= int(RECENT_SECONDS * 1000) + 1
    assert (health.missing(), health.degraded()) == ([], ["kafka"])
