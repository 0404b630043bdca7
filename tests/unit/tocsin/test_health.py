"""`/health/live`, `/health/ready`, `/metrics`: what a probe is told."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.tocsin.circuits import Clock
from tocsin.health import RECENT_SECONDS, Health, health_app


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health("kafka", "postgres", clock=clock)


@pytest.fixture
async def client(health: Health) -> AsyncGenerator[httpx.AsyncClient]:
    registry = CollectorRegistry()
    Counter("shop_sold", "Things sold", ["what"], registry=registry).labels('a "b"\n').inc(3)
    app: Any = health_app(health, registry)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client


async def ready(client: httpx.AsyncClient) -> tuple[int, object]:
    answer = await client.get("/health/ready")
    return answer.status_code, answer.json()


async def test_it_is_not_ready_before_every_need_was_met(client: httpx.AsyncClient, health: Health) -> None:
    assert await ready(client) == (503, {"status": "not ready", "missing": ["kafka", "postgres"]})
    health.ok("kafka")
    assert await ready(client) == (503, {"status": "not ready", "missing": ["postgres"]})
    health.ok("postgres")
    assert await ready(client) == (200, {"status": "ready", "missing": []})


async def test_what_a_service_goes_on_without_is_told_and_makes_nothing_unready(
    client: httpx.AsyncClient, health: Health
) -> None:
    health.ok("kafka")
    health.ok("postgres")
    health.degraded = lambda: ["clickhouse"]
    assert await ready(client) == (200, {"status": "ready", "missing": [], "degraded": ["clickhouse"]})


async def test_a_need_that_is_silent_for_too_long_is_missing(
    client: httpx.AsyncClient, health: Health, clock: Clock
) -> None:
    health.ok("kafka")
    clock.now += RECENT_SECONDS
    health.ok("postgres")
    assert (await ready(client))[0] == 200
    clock.now += 0.1
    assert await ready(client) == (503, {"status": "not ready", "missing": ["kafka"]})
    health.ok("kafka")
    assert (await ready(client))[0] == 200


async def test_a_need_met_for_good_stays_so_until_it_is_lost(health: Health, clock: Clock) -> None:
    health.ok("kafka", lasting=True)
    health.ok("postgres", lasting=True)
    clock.now += 3600
    assert health.missing() == []
    health.lost("kafka")
    assert health.missing() == ["kafka"]
    health.ok("kafka")
    clock.now += 3600
    assert health.missing() == ["kafka"]


async def test_it_is_not_ready_while_draining_though_nothing_else_is_missing(
    client: httpx.AsyncClient, health: Health
) -> None:
    health.ok("kafka")
    health.ok("postgres")
    health.is_draining = True
    assert await ready(client) == (503, {"status": "not ready", "missing": ["draining"]})


async def test_it_lives_whatever_is_missing(client: httpx.AsyncClient, health: Health) -> None:
    health.is_draining = True
    answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


async def test_metrics_are_prometheus_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert [value for name, value in answer.headers.multi_items() if name == "content-type"] == [
        "text/plain; version=1.0.0; charset=utf-8"
    ]
    sold, *_ = text_string_to_metric_families(answer.text)
    assert [(one.name, one.labels, one.value) for one in sold.samples] == [
        ("shop_sold_total", {"what": 'a "b"\n'}, 3),
    ]


async def test_a_service_without_needs_is_ready() -> None:
    assert Health().missing() == []
