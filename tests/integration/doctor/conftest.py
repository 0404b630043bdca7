"""What the doctor looks at in these tests: a Redis with a queue, a stand-in for Telegram, and its patience."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import httpx
import pytest
from redis.asyncio import Redis

from tests.eventually import READY_SECONDS, eventually
from tests.integration.doctor.findings import TOKEN
from tests.ports import free_port
from tocsin.sandbox.app import run_sandbox
from tocsin.sandbox.options import SandboxOptions


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Any]:
    """A client of this test's Redis, with one ordinary queue in it."""
    client = cast(Any, Redis).from_url(redis_url, decode_responses=True)
    await client.hset("bull:emails:meta", mapping={"opts.maxLenEvents": "10000", "version": "bullmq:6.7.0"})
    yield client
    await client.aclose()


@pytest.fixture
async def sandbox() -> AsyncGenerator[str]:
    """Address of a Telegram sandbox that knows TOKEN only."""
    port, stop = free_port(), asyncio.Event()
    task = asyncio.create_task(run_sandbox(SandboxOptions(port=port, token=TOKEN), stop))
    url = f"http://127.0.0.1:{port}"

    async def answers() -> bool:
        if task.done():
            task.result()
        async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
            try:
                return (await client.get(f"{url}/bot{TOKEN}/getMe")).is_success
            except httpx.HTTPError:
                return False

    await eventually(answers)
    yield url
    stop.set()
    await task


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the services, and who is asked beside them, take their time: a busy machine is no problem here."""
    for slow in ("settings", "kafka", "redis", "redis_actions", "postgres", "clickhouse", "consul", "telegram"):
        monkeypatch.setattr(f"tocsin.doctor.{slow}.SECONDS", 60)
    monkeypatch.setattr("tocsin.doctor.redis.SCAN_SECONDS", 30)
    monkeypatch.setattr("tocsin.doctor.run.DEADLINE_SECONDS", 90)
