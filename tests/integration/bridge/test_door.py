"""The door to Redis: replies as they are, every wait with a deadline, a failed connection never used again."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.errors import SourceUnavailable, TooSlow
from bridge.sources.bullmq.door import Door, Refused, is_about_key
from bridge.sources.bullmq.door.guards import Guards
from bridge.sources.bullmq.door.pools import pool_of_url
from bridge.sources.bullmq.door.single import Single
from tests.conftest import StartValkey
from tests.eventually import eventually
from tests.integration.bridge.test_sites import site
from tocsin.breakers import Breakers


async def test_replies_come_in_order_and_refusals_in_their_place(redis_url: str) -> None:
    door = Door(redis_url)
    replies = await door.ask([("SET", "k", "v"), ("LLEN", "k"), ("GET", "k"), ("NO-SUCH",), ("LRANGE", "l", 0, -1)])

    assert (replies[0], replies[2], replies[4]) == (b"OK", b"v", [])
    assert isinstance(replies[1], Refused)
    assert is_about_key(replies[1])
    assert isinstance(replies[3], Refused)
    assert not is_about_key(replies[3])
    with pytest.raises(SourceUnavailable, match="LLEN was refused"):
        await door.one("LLEN", "k")
    assert await door.ask([]) == []
    await door.close()


@pytest.mark.parametrize("has_breaker", [False, True])
async def test_redis_that_says_nothing_is_given_up_in_time(
    start_redis: StartValkey, tmp_path: Path, has_breaker: bool
) -> None:
    server = await start_redis(tmp_path / "valkey")
    breakers = Breakers(site("eu", "unused", "t."), CollectorRegistry()) if has_breaker else None
    door = Door(Single(pool_of_url(server.settings["REDIS_URL"]), Guards("main", breakers).of()))
    await door.one("PING")
    os.kill(server.child.process.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(TooSlow):
            await door.one("PING", timeout=0.3)
        assert time.monotonic() - begun < 10, "it would have waited for ever"
    finally:
        os.kill(server.child.process.pid, signal.SIGCONT)
    assert await door.one("ECHO", "again") == b"again", "a late answer to the first must not be taken for this one"
    await door.close()


async def test_wait_for_a_free_connection_is_no_reply_that_takes_long(app: Any, redis_url: str) -> None:
    door = Door(f"{redis_url}?max_connections=1")
    await door.one("PING")
    waiting = asyncio.create_task(door.one("XREAD", "BLOCK", 0, "STREAMS", "s", "$", timeout=60))

    async def is_blocked() -> bool:
        return bool((await app.info("clients"))["blocked_clients"])

    await eventually(is_blocked, what="the only connection in use")
    with pytest.raises(SourceUnavailable) as caught:
        await door.one("PING", timeout=0.2)
    assert not isinstance(caught.value, TooSlow)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await door.one("ECHO", "again") == b"again"
    await door.close()


async def test_call_given_up_by_us_leaves_nothing_behind(redis_url: str) -> None:
    door = Door(redis_url)
    waiting = asyncio.create_task(door.one("XREAD", "BLOCK", 5000, "STREAMS", "s", "$"))
    await asyncio.sleep(0)
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.gather(*(door.one("ECHO", str(number)) for number in range(50))) == [
        str(number).encode() for number in range(50)
    ]
    await door.close()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://nobody:wrong@{place}/0", "redis://{place}/99"])
async def test_redis_that_cannot_be_used_is_unavailable(redis_url: str, url: str) -> None:
    door = Door(url.format(place=redis_url.removeprefix("redis://").removesuffix("/0")))
    with pytest.raises(SourceUnavailable) as caught:
        await door.one("PING")
    assert "wrong" not in str(caught.value)
    assert not isinstance(caught.value, TooSlow)
    await door.close()


async def test_clock_is_redis_own(redis_url: str) -> None:
    door = Door(redis_url)

    assert abs(await door.read_clock() - time.time() * 1000) < 5000
    assert abs(door.now_ms() - time.time() * 1000) < 5000
    await door.close()
