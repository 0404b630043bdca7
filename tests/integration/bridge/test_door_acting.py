"""The client that BullMQ's own library writes with: it sends nothing too late, and ends when it is cancelled."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.sources.bullmq.door.acting import ActingClient, TooLate, sending_until
from bridge.sources.bullmq.door.pools import SENTINEL_SECONDS, Sentinels
from bridge.topology import Topology
from tests.servers.redis_servers import RedisServers

CANCELLED = 200
"""Of as many, redis-py by itself forgot seventy."""


@pytest.fixture(params=["standalone", "cluster"])
async def client(request: pytest.FixtureRequest, redis_url: str, servers: RedisServers) -> AsyncGenerator[Any]:
    """redis-py's, which may write."""
    where: dict[str, Any] = {"url": redis_url}
    if request.param == "cluster":
        where = {"nodes": [(await servers.start_cluster(3))[0].address]}
    acting = ActingClient(Topology.model_validate({"mode": request.param, **where}), most=4, seconds=5)
    yield acting.client
    await acting.close()


async def test_nothing_is_sent_after_its_time(client: Any) -> None:
    with sending_until(time.monotonic() + 60):
        await client.set("job", "in time")
    with sending_until(time.monotonic() - 0.001):
        with pytest.raises(TooLate):
            await client.set("job", "late")
        with pytest.raises(TooLate):
            await client.pipeline(transaction=False).set("job", "late").execute()
    assert await client.get("job") == "in time"


async def never_forgets(ask: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Cancel many, each after another number of turns of the loop."""

    async def ask_for_ever() -> None:
        while True:
            await ask()

    for turns, _ in zip(cycle(range(3, 40)), range(CANCELLED), strict=False):
        task = asyncio.create_task(ask_for_ever())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        assert done, f"cancelled after {turns} turns, and went on"


async def test_action_that_is_cancelled_ends(client: Any) -> None:
    await never_forgets(lambda: client.set("job", "x"))
    assert await client.get("job") == "x", "no reply to another may be taken for this one"


async def test_question_to_a_sentinel_that_is_cancelled_ends(redis_url: str) -> None:
    place = urlsplit(redis_url)
    sentinels = Sentinels(
        [(place.hostname or "", place.port or 0)], sentinel_kwargs={"socket_timeout": SENTINEL_SECONDS}
    )
    async with aclosing(sentinels):
        (sentinel,) = sentinels.sentinels
        await never_forgets(sentinel.ping)
        assert await sentinel.echo("again") == b"again"
