"""On a cluster, and across a failover, what no event says is told as on one Redis; what only moved is never told."""

from collections import Counter
from typing import Any

import pytest

from tests.bullmq.driver import silent
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_cluster import app_of, errors, source
from tests.integration.bridge.test_silent_changes import reconciled, until_compared, until_told
from tests.servers.redis_servers import RedisServer, RedisServers, begin_move, end_move, move_keys, slot_of

QUEUES = ["{a}", "{b}", "{c}", "{d}"]


async def delete(app: Any, nodes: list[RedisServer], queue: str) -> None:
    """All keys of a queue, as obliterate does."""
    keys = [key for node in nodes async for key in node.client.scan_iter(f"bull:{queue}:*", count=1000)]
    await app.delete(*keys)


async def refusals(nodes: list[RedisServer]) -> int:
    """How often nodes have sent somebody elsewhere, or to try again."""
    stats = [await node.client.info("errorstats") for node in nodes]
    return sum(one["count"] for told in stats for name, one in told.items() if name.endswith(("ASK", "TRYAGAIN")))


@pytest.mark.parametrize(("read_from", "is_redis"), [("primary", False), ("replica", True)])
async def test_silent_changes_on_a_cluster_while_a_slot_moves(
    unset_bridge: Bridge, servers: RedisServers, read_from: str, is_redis: bool
) -> None:
    """Of a slot that is half here and half there nothing is certain: no job of it is told to be removed."""
    bridge = unset_bridge
    bridge.environ["BRIDGE_RECONCILE_SECONDS"] = "0.5"
    replicas = 1 if read_from == "replica" else 0
    nodes = await servers.start_cluster(3, replicas=replicas, is_redis=is_redis)
    primaries = nodes[:3]
    assert len({slot_of(queue) for queue in QUEUES}) == len(QUEUES)
    bridge.watch(source(nodes, f'read_from = "{read_from}"'))
    await bridge.start()
    await bridge.ready()
    url = nodes[0].url
    ids = {queue: await silent(url, queue, "add", cluster=True) for queue in QUEUES}
    await until_told(bridge, "waiting", 3 * len(QUEUES))
    async with app_of(nodes[0]) as app:
        owner, to = await begin_move(primaries, slot_of("{a}"))
        await move_keys(owner, to, "bull:{a}:1", "bull:{a}:wait")  # its stream, its meta and two jobs are still here
        before = await refusals(nodes)
        await app.lrem("bull:{a}:wait", 0, "3")
        await app.delete("bull:{a}:3")

        async def is_asked() -> bool:
            return await refusals(nodes) >= before + 20

        await eventually(is_asked, what="questions that are refused")
        await silent(url, "{b}", "drain", cluster=True)
        await until_told(bridge, "reconciled", 3)
        assert {event.queue for event in await reconciled(bridge)} == {"{b}"}
        await end_move(primaries, owner, to, slot_of("{a}"))
        await silent(url, "{c}", "obliterate", cluster=True)
        await delete(app, primaries, "{d}")
        await until_told(bridge, "gone", 2)
        await until_told(bridge, "reconciled", 3 + 1 + 3 + 3)
        await until_compared(bridge, app, "{a}")
        await silent(url, "{d}", "add", cluster=True)
        await until_told(bridge, "waiting", 3 * len(QUEUES) + 3)

    told = [event for event in await reconciled(bridge) if event.job_id != "bird"]
    removed = Counter((event.queue, event.job_id) for event in told)
    wanted = [("{a}", "3"), *((queue, job_id) for queue in ("{b}", "{c}", "{d}") for job_id in ids[queue])]
    assert removed == Counter(wanted)
    assert {str(event.state) for event in told} == {"removed"}
    records = await bridge.records()
    assert sorted(event.queue for event in records.jobs if event.event == "gone") == ["{c}", "{d}"]
    assert len({event.id for event in records.jobs}) == len(records.jobs)
    assert "ASK" in {name for node in nodes for name in await errors(node)}
