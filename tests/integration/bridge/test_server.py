"""The Redis of a source: what it says of itself, what may cost jobs, and that it does not answer."""

import asyncio
from pathlib import Path
from typing import Any

from bridge.sources.bullmq.snapshots.server import PINGS
from tests.clients import redis
from tests.conftest import StartValkey
from tests.eventually import eventually
from tests.integration.bridge.by_hand import make_queue
from tests.integration.bridge.running import Bridge, bridge_on
from tests.integration.bridge.test_read_only import make_reader
from tocsin.events import SourceSnapshot

MOST_BYTES = 512 * 1024 * 1024


async def newest(bridge: Bridge) -> SourceSnapshot | None:
    return (await bridge.records()).source()


async def test_redis_says_how_it_is(bridge: Bridge, app: Any) -> None:
    await make_queue(app, "mail")
    await app.config_set("maxmemory-policy", "noeviction")
    await app.config_set("maxmemory", MOST_BYTES)
    await bridge.start()

    async def is_told() -> bool:
        told = await newest(bridge)
        return told is not None and told.queues == 1 and told.policy == "noeviction"

    await eventually(is_told, what="the source")
    told = await newest(bridge)
    assert told is not None
    info = await app.info()
    assert told.server.endswith(info.get("valkey_version", info["redis_version"]))
    assert (told.role, told.is_loading, told.is_rdb_ok, told.evicted_keys) == ("master", False, True, 0)
    assert (told.max_memory_bytes, told.max_clients) == (MOST_BYTES, info["maxclients"])
    assert 0 < (told.clients or 0) < 50
    assert (told.memory_bytes or 0) > 500_000
    assert 0 < (told.ping_ms or 0) < 1000
    assert told.is_reachable
    assert "redis_may_evict" not in bridge.log
    assert await bridge.metric("bridge_redis_up", source="main") == 1
    assert await bridge.metric("bridge_redis_may_evict", source="main") == 0
    assert 500_000 < await bridge.metric("bridge_redis_memory_bytes", source="main") < MOST_BYTES
    assert await bridge.metric("bridge_redis_memory_max_bytes", source="main") == MOST_BYTES
    assert await bridge.metric("bridge_redis_clients_max", source="main") == info["maxclients"]
    assert 0 < await bridge.metric("bridge_redis_ping_seconds", source="main") < 1


async def test_clients_are_counted_and_those_that_block(bridge: Bridge, app: Any, redis_url: str) -> None:
    """What the bridge itself has open is known by its name."""
    await make_queue(app, "mail")
    await bridge.start()
    await bridge.ready()
    patient: Any = redis.from_url(redis_url)
    waiting = [asyncio.ensure_future(patient.blpop(f"nothing:{number}")) for number in range(7)]

    async def are_counted() -> bool:
        info = await app.info("clients")
        counted = [await bridge.metric(f"bridge_redis_clients{which}", source="main") for which in ("", "_blocked")]
        return info["blocked_clients"] >= 7 and counted == [info["connected_clients"], info["blocked_clients"]]

    try:
        await eventually(are_counted, what="as many clients as Redis counts")
    finally:
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await patient.aclose()


async def test_evictions_and_the_policy_that_allows_them_are_warned_of_once(bridge: Bridge, app: Any) -> None:
    await make_queue(app, "mail")
    await app.config_set("maxmemory-policy", "volatile-lru")
    await bridge.start()
    await bridge.ready()

    async def may_evict() -> bool:
        return await bridge.metric("bridge_redis_may_evict", source="main") == 1

    await eventually(may_evict, what="the policy")
    used = (await app.info("memory"))["used_memory"]
    await app.config_set("maxmemory", used + 2_000_000)
    for number in range(500):
        await app.set(f"cache:{number}", "x" * 10_000, ex=3600)
    await app.config_set("maxmemory", 0)  # from here on none is evicted, however much a client's buffer takes

    async def are_evicted() -> bool:
        told = await newest(bridge)
        counted = await bridge.metric("bridge_redis_evicted_keys_total", source="main")
        evicted = (await app.info("stats"))["evicted_keys"]
        return told is not None and 0 < evicted == counted == told.evicted_keys and told.policy == "volatile-lru"

    await eventually(are_evicted, what="evictions, counted")
    assert bridge.log.count("redis_may_evict") == 1
    assert "redis_evicted_keys" in bridge.log


async def test_redis_that_refuses_info_is_reachable_and_unknown(bridge: Bridge, app: Any, redis_url: str) -> None:
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url, "+info")
    await bridge.start()

    async def is_told() -> bool:
        return await newest(bridge) is not None

    await eventually(is_told, what="the source")
    told = await newest(bridge)
    assert told is not None
    assert (told.is_reachable, told.policy, told.memory_bytes, told.is_loading) == (True, "", None, None)
    assert told.ping_ms is not None
    assert not await bridge.samples("bridge_redis_memory_bytes")


async def test_redis_without_queues_is_asked_no_more_often(bridge: Bridge, app: Any, redis_url: str) -> None:
    """The first queue's counts are wanted at once, and until there is one the bridge looks for it all the time."""
    bridge.environ["BRIDGE_POLL_SECONDS"] = "3600"
    # A connection that tracks is asked whether it lives, too.
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url, "+client|tracking")
    await app.config_resetstat()
    await bridge.start()
    await bridge.ready()

    async def is_told() -> bool:
        return await newest(bridge) is not None

    await eventually(is_told, what="the source")
    await make_queue(app, "mail")

    async def is_counted() -> bool:
        return (await bridge.records()).newest("mail") is not None

    await eventually(is_counted, what="the queue's counts")
    stats = await app.info("commandstats")
    assert stats["cmdstat_ping"]["calls"] == PINGS
    assert stats["cmdstat_zscan"]["calls"] == 1, "its schedulers, with its counts"


async def test_one_replica_tells_and_says_when_redis_is_away(
    kafka_bootstrap: str, topic_prefix: str, start_redis: StartValkey, tmp_path: Path
) -> None:
    server = await start_redis(tmp_path / "valkey")
    url = server.settings["REDIS_URL"]
    app: Any = redis.from_url(url)
    await make_queue(app, "mail")
    await app.aclose()
    async with (
        bridge_on(kafka_bootstrap, topic_prefix, url, tmp_path / "one.log") as one,
        bridge_on(kafka_bootstrap, topic_prefix, url, tmp_path / "two.log") as two,
    ):
        await one.start()
        await two.start()

        async def tell_alone() -> bool:
            owned = [await bridge.metric("bridge_partitions_owned") for bridge in (one, two)]
            told = [await bridge.samples("bridge_redis_up") for bridge in (one, two)]
            return owned == [1, 1] and sorted(map(len, told)) == [0, 1]

        await one.ready()
        await two.ready()
        await eventually(tell_alone, what="one teller of two")
        await server.child.stop()

        async def is_away() -> bool:
            told = await newest(one)
            return told is not None and not told.is_reachable and told.memory_bytes is None

        await eventually(is_away, what="a source that does not answer")
