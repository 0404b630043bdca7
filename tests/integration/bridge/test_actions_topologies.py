"""Actions on every kind of Redis a source may be: as a user of their own, at whoever takes writes now."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.certificate import make_certificate
from tests.eventually import eventually
from tests.integration.bridge import test_cluster, test_sentinel, test_tls
from tests.integration.bridge.acting import TOKEN, done, refused, send
from tests.integration.bridge.failed_jobs import FAILED_AT, make_failed, retries
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_actions_user import action_rules, cluster_rules
from tests.servers.redis_servers import RedisServer, RedisServers, begin_move, copied, end_move, owner_of, slot_of

ACTING = 'actions = { username = "actor", password = "acting" }'


async def make_actor(nodes: Sequence[RedisServer], *more: str) -> None:
    """The documented user, on every node."""
    for node in nodes:
        await node.client.execute_command("ACL", "SETUSER", "actor", *action_rules(), *more)
        await node.client.connection_pool.disconnect()  # sentinels end every connection to whom they promote


async def start(bridge: Bridge, source: str) -> None:
    bridge.environ["TOCSIN_SERVICE_TOKEN"] = TOKEN
    bridge.watch(source)
    await bridge.start()
    await bridge.ready()


async def done_at_last(bridge: Bridge, **body: Any) -> None:
    """Send one request again and again, as the bot does, until it is carried out."""

    async def is_done() -> bool:
        response = await send(bridge, **body)
        assert response.status_code in (200, 503), response.text
        return response.status_code == 200 and response.json()["outcomes"] == {"done": len(body["job_ids"])}

    await eventually(is_done, what="the request carried out")


async def acting_users(node: RedisServer) -> set[str]:
    """As whom the bridge is connected to write."""
    return {client["user"] for client in await node.client.client_list() if client["name"] == "tocsin-actions"}


@pytest.mark.parametrize("read_from", ["primary", "replica"])
async def test_job_is_retried_at_the_new_primary_though_the_old_one_still_takes_writes(
    unset_bridge: Bridge, servers: RedisServers, read_from: str
) -> None:
    """It hung, was replaced, and is back: until the sentinels have made it a replica it does not know."""
    bridge = unset_bridge
    nodes, sentinels = await test_sentinel.watched(servers)
    await make_actor(nodes)
    old = nodes[0]
    before, after = await make_failed(old.client, "mail", 2)
    await copied(old, 2)
    await start(bridge, test_sentinel.source(sentinels, f'read_from = "{read_from}"\n{ACTING}'))
    await done(bridge, action="retry", queue="mail", job_ids=[before])
    assert await retries(old.client, "mail") == {before: 1}
    assert await acting_users(old) == {"actor"}

    await copied(old, 2)
    old.child.process.send_signal(signal.SIGSTOP)
    promoted = await test_sentinel.new_primary(nodes, sentinels)
    old.child.process.send_signal(signal.SIGCONT)
    await done_at_last(bridge, request_id="after", action="retry", queue="mail", job_ids=[after])

    assert await retries(promoted.client, "mail") == {before: 1, after: 1}
    assert await acting_users(promoted) == {"actor"}
    for secret in (test_sentinel.PASSWORD, test_sentinel.SENTINEL_PASSWORD):
        assert secret not in bridge.log


async def test_actions_go_through_the_sources_tls(unset_bridge: Bridge, servers: RedisServers, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    server, port = await test_tls.start_tls(servers, certificate, asks_clients=True)
    await server.client.execute_command("ACL", "SETUSER", "actor", *action_rules())
    job_ids = await make_failed(server.client, "mail", 5)
    files = f'ca_file = "{certificate}", cert_file = "{certificate}", key_file = "{certificate}"'
    await start(unset_bridge, f"{test_tls.source(port, tls=files)}\n{ACTING}")
    await done(unset_bridge, action="retry", queue="mail", job_ids=job_ids)
    assert await retries(server.client, "mail") == dict.fromkeys(job_ids, 1)
    assert await acting_users(server) == {"actor"}


async def test_every_action_runs_on_a_cluster_under_the_documented_rules(
    unset_bridge: Bridge, servers: RedisServers
) -> None:
    bridge = unset_bridge
    nodes = await servers.start_cluster(3)
    await make_actor(nodes, *cluster_rules())
    queues = ["{a}", "{b}", "{c}"]
    assert len({(await owner_of(nodes, slot_of(queue))).port for queue in queues}) == 3
    async with test_cluster.app_of(nodes[0]) as app:
        for queue in queues:
            await make_failed(app, queue, 150)
            await app.hset(f"bull:{queue}:later", mapping={"name": "mail", "timestamp": FAILED_AT, "opts": "{}"})
            await app.zadd(f"bull:{queue}:delayed", {"later": FAILED_AT * 0x1000})
        await start(bridge, test_cluster.source(nodes, f"{await test_cluster.make_reader(nodes)}\n{ACTING}"))
        for queue in queues:
            for action, job_ids in (("retry", ["job-0", "job-1"]), ("remove", ["job-2"]), ("promote", ["later"])):
                answer = await done(bridge, action=action, queue=queue, job_ids=job_ids)
                assert answer["outcomes"] == {"done": len(job_ids)}
            await done(bridge, action="pause", queue=queue)
            assert await app.hget(f"bull:{queue}:meta", "paused") == b"1"
            await done(bridge, action="resume", queue=queue)
            assert await app.hget(f"bull:{queue}:meta", "paused") is None
            assert (await app.exists(f"bull:{queue}:job-2"), await app.zcard(f"bull:{queue}:delayed")) == (0, 0)
            rest = {"request_id": queue[1], "action": "retry", "filter": {"to": "2100-01-01T00:00:00Z"}}
            owner, to = await begin_move(nodes, slot_of(queue))
            assert await refused(bridge, queue=queue, **rest) == (503, "redis_unavailable")
            await end_move(nodes, owner, to, slot_of(queue))
            answer = await done(bridge, queue=queue, **rest)
            assert answer["outcomes"] == {"done": 147}
            assert set((await retries(app, queue)).values()) == {1}
    assert [await node.client.acl_log() for node in nodes] == [[], [], []]
    assert [await acting_users(node) for node in nodes] == [{"actor"}] * 3


@pytest.mark.slow
async def test_job_is_retried_at_the_replica_that_took_over_a_clusters_node(
    unset_bridge: Bridge, servers: RedisServers
) -> None:
    bridge = unset_bridge
    nodes = await servers.start_cluster(3, replicas=1)
    await make_actor(nodes, *cluster_rules())
    async with test_cluster.app_of(nodes[1]) as app:
        dying = await owner_of(nodes, slot_of("{a}"))
        before, after = await make_failed(app, "{a}", 2)
        await start(bridge, test_cluster.source(nodes, f"{await test_cluster.make_reader(nodes)}\n{ACTING}"))
        await done(bridge, action="retry", queue="{a}", job_ids=[before])
        await copied(dying, 1)
        await dying.kill()
        await done_at_last(bridge, request_id="after", action="retry", queue="{a}", job_ids=[after])
        assert await retries(app, "{a}") == {before: 1, after: 1}
