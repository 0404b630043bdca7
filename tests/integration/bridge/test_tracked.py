"""Reads on which Redis tells what has changed: each change is known, whatever happens to the connection."""

import asyncio
import time
import tomllib
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError as ConnectionFailed

from bridge.errors import SourceUnavailable
from bridge.settings import Source
from bridge.sources.bullmq.door import Door, Tracked, tracker
from bridge.sources.bullmq.door.guards import Guards
from bridge.sources.bullmq.door.opening import open_link
from bridge.sources.bullmq.door.pools import FixedPool, pool_of_url
from bridge.sources.bullmq.door.single import Single
from tests.eventually import eventually
from tests.integration.bridge.test_read_only import make_reader
from tests.integration.bridge.test_replica import are_linked
from tests.integration.bridge.test_sentinel import source, watched
from tests.integration.bridge.test_sites import site
from tests.servers.redis_servers import RedisServer, RedisServers
from tocsin.breakers import Breakers


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine may take its time to connect."""
    monkeypatch.setattr(tracker, "OPEN_SECONDS", 50.0)


def reads(*keys: str) -> list[tuple[str | int, ...]]:
    return [("LRANGE", key, 0, -1) for key in keys]


async def tracking(door: Door, *keys: str) -> Tracked:
    """Tracking, with these keys read."""
    mine = door.tracked(asyncio.Event())
    assert mine is not None
    assert await mine.changed(keys) == list(keys)
    assert mine.is_on
    await mine.ask(reads(*keys))
    assert await mine.changed(keys) == []
    return mine


async def kill_tracking(app: Any) -> None:
    """Kill every connection that tracks."""
    clients = [client for client in await app.client_list() if "t" in client["flags"]]
    assert clients
    for client in clients:
        await app.client_kill(client["addr"])


async def test_keys_are_read_again_only_once_they_change(app: Any, redis_url: str) -> None:
    door = Door(redis_url)
    mine = await tracking(door, "bull:a", "bull:b", "bull:c")
    await app.rpush("bull:b", "1")

    assert await mine.changed(["bull:a", "bull:b", "bull:c"]) == ["bull:b"]
    assert await mine.ask(reads("bull:b")) == [[b"1"]]
    assert await mine.changed(["bull:a", "bull:b", "bull:c"]) == []
    await app.delete("bull:b")
    assert await mine.changed(["bull:b", "bull:a"]) == ["bull:b"]
    await door.close()


async def test_change_between_two_reads_of_one_pipeline_is_not_missed(app: Any, redis_url: str) -> None:
    """The push lies between the replies it came between."""
    door = Door(redis_url)
    mine = await tracking(door, "bull:a", "bull:b")
    replies = await mine.ask([*reads("bull:a"), ("RPUSH", "bull:a", "x"), *reads("bull:b")])
    assert replies == [[], 1, []]

    assert await mine.changed(["bull:a", "bull:b"]) == ["bull:a"]
    await door.close()


async def test_thousands_of_changes_come_before_one_reply(app: Any, redis_url: str) -> None:
    keys = [f"bull:{number}" for number in range(5000)]
    door = Door(redis_url)
    mine = await tracking(door, *keys)
    pipe = app.pipeline(transaction=False)
    for key in keys:
        pipe.rpush(key, "x")
    await pipe.execute()

    assert await mine.changed(keys) == keys
    await door.close()


async def test_everything_may_have_changed_once_all_was_flushed(app: Any, redis_url: str) -> None:
    door = Door(redis_url)
    mine = await tracking(door, "bull:a", "bull:b")
    await app.flushall()

    assert await mine.changed(["bull:a", "bull:b"]) == ["bull:a", "bull:b"]
    await door.close()


async def test_killed_connection_knows_nothing_and_is_begun_afresh(app: Any, redis_url: str) -> None:
    door = Door(redis_url)
    mine = await tracking(door, "bull:a")
    await kill_tracking(app)

    async def is_afresh() -> bool:
        assert await mine.changed(["bull:a"]) == ["bull:a"]
        return mine.is_on

    await eventually(is_afresh, what="another connection")
    await mine.ask(reads("bull:a"))
    assert await mine.changed(["bull:a"]) == []
    await door.close()


async def test_all_is_read_afresh_in_time_and_redis_remembers_no_more_for_it(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a connection that has ended it forgets nothing until the key changes: there is one for all times."""
    monkeypatch.setattr(tracker, "AFRESH_SECONDS", 0.0)
    door = Door(redis_url)
    mine = door.tracked(asyncio.Event())
    assert mine is not None
    for _ in range(3):
        assert await mine.changed(["bull:a", "bull:b"]) == ["bull:a", "bull:b"]
        await mine.ask(reads("bull:a", "bull:b"))
        assert mine.knows("bull:a")
    assert (await app.info("stats"))["tracking_total_items"] == 2
    assert len([client for client in await app.client_list() if "t" in client["flags"]]) == 1
    await door.close()


async def test_connection_to_another_process_than_is_read_tells_nothing(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is when another takes over while it connects."""
    leads_to = ["another"]

    def reached(pool: FixedPool, connection: object) -> str:
        return leads_to[0]

    monkeypatch.setattr(FixedPool, "reached", reached)
    door = Door(redis_url)
    mine = door.tracked(asyncio.Event())
    assert mine is not None
    for _ in range(2):
        assert await mine.changed(["bull:a"]) == ["bull:a"]
        assert not mine.is_on
    leads_to[0] = ""
    assert await mine.changed(["bull:a"]) == ["bull:a"]
    assert mine.is_on
    assert len([client for client in await app.client_list() if "t" in client["flags"]]) == 1
    await door.close()


async def test_reads_that_fail_together_open_no_breaker(app: Any, redis_url: str) -> None:
    """All ask through one connection; those who do without it find out how Redis is."""
    breakers = Breakers(site("eu", "unused", "t."), CollectorRegistry())
    door = Door(Single(pool_of_url(redis_url), Guards("main", breakers).of()))
    mine = await tracking(door, "bull:a")
    answers = await asyncio.gather(*(mine.ask(reads("bull:a"), seconds=0) for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {SourceUnavailable}
    assert not mine.is_on
    assert not breakers.is_open("redis:main")
    assert await door.ask(reads("bull:a")) == [[]]
    await door.close()


async def test_what_is_refused_is_said_once_and_tried_again_later(
    app: Any, redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(await make_reader(app, redis_url, "+client|tracking"), source="main")
    first, second = door.tracked(asyncio.Event()), door.tracked(asyncio.Event())
    assert first is not None
    assert second is not None
    for mine in (first, second, first):
        assert await mine.changed(["bull:a"]) == ["bull:a"]
        assert not mine.is_on
        with pytest.raises(SourceUnavailable):
            await mine.ask(reads("bull:a"))
    assert capsys.readouterr().out.count("tracking_refused") == 1

    await app.execute_command("ACL", "SETUSER", "bridge", "+client|tracking")
    await first.changed(["bull:a"])
    assert not first.is_on
    now = time.monotonic()
    monkeypatch.setattr(tracker, "time", SimpleNamespace(monotonic=lambda: now + tracker.REFUSED_SECONDS + 60))
    await first.changed(["bull:a"])
    assert first.is_on
    await door.close()


@pytest.mark.parametrize("read_from", ["primary", "replica"])
async def test_changes_are_known_behind_sentinels_before_and_after_a_failover(
    servers: RedisServers, read_from: str
) -> None:
    nodes, sentinels = await watched(servers)
    primary = nodes[0]
    for replica in nodes[1:]:
        await are_linked(replica)
    told = tomllib.loads(source(sentinels, f'read_from = "{read_from}"'))["source"][0]
    door = Door(open_link(Source.model_validate(told)))
    mine = await tracking(door, "bull:a", "bull:b")
    await primary.client.rpush("bull:a", "1")

    async def has_changed() -> bool:
        return await mine.changed(["bull:a", "bull:b"]) == ["bull:a"]

    await eventually(has_changed, what="the change known")
    await primary.kill()

    async def survivor() -> RedisServer | None:
        for node in nodes[1:]:
            with suppress(ConnectionFailed):  # it drops its clients when it is told another role
                if (await node.client.info("replication"))["role"] == "master":
                    return node
        return None

    async def has_taken_over() -> bool:
        return await survivor() is not None

    await eventually(has_taken_over, what="another primary")
    changed = await survivor()
    assert changed is not None
    await changed.client.rpush("bull:b", "2")

    async def is_read() -> bool:
        mine.rest()
        await mine.changed(["bull:b"])
        return mine.is_on and await mine.ask(reads("bull:b")) == [[b"2"]] and await mine.changed(["bull:b"]) == []

    await eventually(is_read, what="a read of the new primary")
    await changed.client.rpush("bull:b", "3")

    async def is_known() -> bool:
        return await mine.changed(["bull:b"]) == ["bull:b"]

    await eventually(is_known, what="a change there known")
    await door.close()


async def test_redis_without_resp3_tells_nothing(servers: RedisServers) -> None:
    server = await servers.start("valkey", "--rename-command", "HELLO", "")
    door = Door(server.url)
    mine = door.tracked(asyncio.Event())
    assert mine is not None

    assert await mine.changed(["bull:a"]) == ["bull:a"]
    assert not mine.is_on
    await door.close()
