"""A primary behind sentinels: it dies, another one takes over, and the bridge goes on where it was."""

import signal
from collections import Counter
from typing import Any

import pytest

from tests.bullmq.driver import silent
from tests.clients import redis
from tests.eventually import eventually
from tests.integration.bridge.by_hand import make_queue
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import make_reader
from tests.integration.bridge.test_silent_changes import reconciled, until_compared, until_told
from tests.integration.bridge.writing import writing
from tests.servers.redis_servers import RedisServer, RedisServers, copied

PASSWORD = "canary-of-redis-77a1"
SENTINEL_PASSWORD = "canary-of-sentinel-b20e"
QUEUES = ["mail", "images", "invoices"]


async def watched(servers: RedisServers) -> tuple[list[RedisServer], list[RedisServer]]:
    """A primary with two replicas, and the three sentinels that watch them; every one wants a password."""
    login = ("--requirepass", PASSWORD, "--masterauth", PASSWORD)
    primary = await servers.start("primary", *login, password=PASSWORD)
    replicas = [
        await servers.start(f"replica{n}", *login, "--replicaof", f"127.0.0.1 {primary.port}", password=PASSWORD)
        for n in range(2)
    ]
    sentinels = [
        await servers.start_sentinel(
            f"sentinel{n}", "mymaster", primary, quorum=2, password=PASSWORD, own_password=SENTINEL_PASSWORD
        )
        for n in range(3)
    ]

    async def know_all() -> bool:
        masters = [await _master(sentinel) for sentinel in sentinels]
        return all((m["num-slaves"], m["num-other-sentinels"]) == (2, 2) for m in masters)

    await eventually(know_all, what="sentinels that know all of them")
    return [primary, *replicas], sentinels


async def _master(sentinel: RedisServer) -> Any:
    return (await sentinel.client.sentinel_masters())["mymaster"]


def login_of(server: RedisServer) -> str:
    """Its URL, for who may do everything."""
    return server.url.replace("redis://", f"redis://:{PASSWORD}@")


def source(sentinels: list[RedisServer], more: str = "", login: str = f'password = "{PASSWORD}"') -> str:
    """A sources file. login: to the nodes."""
    nodes = ", ".join(f'"{sentinel.address}"' for sentinel in sentinels)
    return f"""
        [[source]]
        name = "main"
        mode = "sentinel"
        nodes = [{nodes}]
        master = "mymaster"
        credentials = {{ {login}, sentinel_password = "{SENTINEL_PASSWORD}" }}
        {more}
    """


@pytest.mark.parametrize("read_from", ["primary", "replica"])
async def test_failover_loses_and_doubles_nothing_that_survived(
    unset_bridge: Bridge, servers: RedisServers, read_from: str
) -> None:
    """Under the documented user, who may do no more than read."""
    bridge = unset_bridge
    nodes, sentinels = await watched(servers)
    primary = nodes[0]
    for queue in QUEUES:
        await make_queue(primary.client, queue)
    for node in nodes:
        async with redis.from_url(login_of(node)) as app:  # a promotion ends the connections there are
            await make_reader(app, node.url)
    login = 'username = "bridge", password = "reading"'
    bridge.watch(source(sentinels, f'read_from = "{read_from}"', login))
    await bridge.start()
    await bridge.ready()
    at = primary

    async def write(queue: str, number: int) -> None:
        fields = {"event": "added", "jobId": f"job-{number}", "name": "send"}
        await at.client.xadd(f"bull:{queue}:events", fields)

    async def are_told(count: int) -> bool:
        return len((await bridge.records()).jobs) >= count

    async with writing(write, QUEUES) as writer:
        await eventually(lambda: are_told(300), what="events before the failover")
        await writer.pause()
        await copied(primary, 2)  # what is not copied would not survive
        await primary.kill()
        at = await new_primary(nodes, sentinels)
        before = writer.count
        writer.go_on()
        await eventually(lambda: are_told(before + 300), what="events after the failover")
        await writer.pause()
        await eventually(lambda: are_told(writer.count), what="every event")

    records = await bridge.records()
    assert writer.told_wrongly(records) == []
    assert max(Counter(event.id for event in records.jobs).values()) == 1
    assert {event.epoch for event in records.jobs} == {1}
    assert await bridge.metric("bridge_events_lost_total") == 0
    assert [await node.client.acl_log() for node in nodes[1:]] == [[], []]
    assert PASSWORD not in bridge.log
    assert SENTINEL_PASSWORD not in bridge.log


async def new_primary(nodes: list[RedisServer], sentinels: list[RedisServer]) -> RedisServer:
    """Wait for the sentinels to have made another one the primary."""
    old, *others = nodes

    async def is_another() -> bool:
        ports = {(await _master(sentinel))["port"] for sentinel in sentinels}
        return ports <= {node.port for node in others}

    await eventually(is_another, what="another primary")
    port = (await _master(sentinels[0]))["port"]
    promoted = next(node for node in others if node.port == port)

    async def may_be_written() -> bool:
        return (await promoted.client.info("replication"))["role"] == "master"

    await eventually(may_be_written, what="a primary that takes writes")
    assert old.port != port
    return promoted


async def test_silent_changes_are_told_across_a_failover(unset_bridge: Bridge, servers: RedisServers) -> None:
    """Jobs drained and a queue deleted on the new primary; and what the old one had not copied, which is no more."""
    bridge = unset_bridge
    bridge.environ["BRIDGE_RECONCILE_SECONDS"] = "0.5"
    nodes, sentinels = await watched(servers)
    primary, *replicas = nodes
    bridge.watch(source(sentinels))
    await bridge.start()
    await bridge.ready()
    ids = {queue: await silent(login_of(primary), queue, "add") for queue in QUEUES}
    await until_told(bridge, "waiting", 9)
    await copied(primary, 2)
    for replica in replicas:
        replica.child.process.send_signal(signal.SIGSTOP)
    await primary.client.client_kill_filter(_type="replica")  # else the kernel keeps for them what comes now
    [lost] = await silent(login_of(primary), "mail", "add", count=1)
    await until_told(bridge, "waiting", 10)
    await primary.kill()
    for replica in replicas:
        replica.child.process.send_signal(signal.SIGCONT)
    at = await new_primary(nodes, sentinels)
    await until_told(bridge, "stream-reset", 1)
    await silent(login_of(at), "images", "drain")
    await at.client.delete(*[key async for key in at.client.scan_iter("bull:invoices:*", count=1000)])
    await until_told(bridge, "gone", 1)
    await until_told(bridge, "reconciled", 7)
    await until_compared(bridge, at.client, "mail")

    told = [event for event in await reconciled(bridge) if event.job_id != "bird"]
    assert sorted((event.queue, event.job_id) for event in told) == sorted(
        [("mail", lost), *((queue, job_id) for queue in ("images", "invoices") for job_id in ids[queue])]
    )
    assert {str(event.state) for event in told} == {"removed"}
    records = await bridge.records()
    [gone] = [event for event in records.jobs if event.event == "gone"]
    assert gone.queue == "invoices"
    assert len({event.id for event in records.jobs}) == len(records.jobs)
    assert not any(event.lost for event in records.jobs)
    [reset] = [event for event in records.of_queue("mail") if event.event == "stream-reset"]
    assert "a failover lost the last entries" in reset.message
    assert [event for event in records.of_queue("mail") if event.epoch == 2 and event.job_id in ids["mail"]] == []
    assert not any(event.backfill for event in records.of_queue("mail"))


async def test_primary_that_was_replaced_is_left_though_it_still_answers(
    unset_bridge: Bridge, servers: RedisServers
) -> None:
    """An old primary refuses no read: only the sentinels tell that its events are no longer the app's."""
    bridge = unset_bridge
    nodes, sentinels = await watched(servers)
    await make_queue(nodes[0].client, "mail")
    await copied(nodes[0], len(nodes) - 1)  # a queue that was not copied is lost
    bridge.watch(source(sentinels))
    await bridge.start()
    await bridge.ready()
    await sentinels[0].client.execute_command("SENTINEL", "FAILOVER", "mymaster")
    promoted = await new_primary(nodes, sentinels)
    await promoted.client.xadd("bull:mail:events", {"event": "added", "jobId": "after", "name": "send"})

    async def is_told() -> bool:
        told = [event.job_id for event in (await bridge.records()).of_queue("mail") if event.event == "added"]
        return told == ["after"]

    await eventually(is_told, what="the new primary's event")

    async def have_all_left() -> bool:
        clients = await nodes[0].client.client_list()
        return not any(client["name"] == "tocsin-bridge" for client in clients)

    await eventually(have_all_left, what="no connection to the old primary")


async def test_refused_by_the_sentinels_is_said_without_secrets(unset_bridge: Bridge, servers: RedisServers) -> None:
    bridge = unset_bridge
    _, sentinels = await watched(servers)
    wrong = "canary-wrong-0d9c"
    bridge.watch(source(sentinels).replace(SENTINEL_PASSWORD, wrong))
    await bridge.start()

    async def has_failed() -> bool:
        return "source_unreachable" in bridge.log

    await eventually(has_failed, what="a refusal")
    assert "no sentinel tells where mymaster is" in bridge.log, bridge.log
    assert all(f"{sentinel.address} " in bridge.log for sentinel in sentinels)
    assert "redis.asyncio" not in bridge.log
    assert wrong not in bridge.log
    assert PASSWORD not in bridge.log
