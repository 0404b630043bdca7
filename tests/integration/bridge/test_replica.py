"""Reading from a replica: the primary is asked for its clients only, and a replica that is behind loses nothing."""

from typing import Any

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.servers.redis_servers import RedisServer, RedisServers, copied


async def pair(servers: RedisServers) -> tuple[RedisServer, RedisServer]:
    """A primary and its replica, in step."""
    primary = await servers.start("primary", "--repl-ping-replica-period", "1")
    replica = await servers.start("replica", "--replicaof", f"127.0.0.1 {primary.port}")
    await are_linked(replica)
    return primary, replica


async def are_linked(replica: RedisServer) -> None:
    """Wait until it follows its primary."""

    async def is_up() -> bool:
        return (await replica.client.info("replication"))["master_link_status"] == "up"

    await eventually(is_up, what="a replica that follows")


def source(primary: RedisServer, replica: RedisServer) -> str:
    """A sources file."""
    return f"""
        [[source]]
        name = "main"
        url = "{primary.url}"
        nodes = ["{replica.address}"]
        read_from = "replica"
    """


async def commands(server: RedisServer) -> set[str]:
    """The commands called since CONFIG RESETSTAT."""
    stats: dict[str, Any] = await server.client.info("commandstats")
    return {name.removeprefix("cmdstat_") for name in stats}


async def told(bridge: Bridge) -> list[str]:
    """The jobs told of, in order."""
    return [event.job_id for event in (await bridge.records()).of_queue("mail")]


async def test_primary_is_asked_for_its_clients_and_nothing_else(unset_bridge: Bridge, servers: RedisServers) -> None:
    bridge = unset_bridge
    primary, replica = await pair(servers)
    await make_queue(primary.client, "mail")
    await primary.client.config_resetstat()
    bridge.watch(source(primary, replica))
    await bridge.start()
    await bridge.ready()
    await add_events(primary.client, "mail", 100)
    await primary.client.client_setname("bull:bWFpbA==")

    async def are_told() -> bool:
        snapshot = (await bridge.records()).newest("mail")
        return len(await told(bridge)) == 100 and snapshot is not None and snapshot.workers == 1

    await eventually(are_told, what="all events and the worker")
    ours = {"client|list", "client|setname"}
    assert await commands(primary) - ours <= {"xadd", "info", "replconf", "ping", "config|resetstat"}
    assert "xread" in await commands(replica)
    assert await bridge.metric("bridge_source_errors_total") == 0


async def test_workers_are_unknown_while_the_primary_is_away(unset_bridge: Bridge, servers: RedisServers) -> None:
    bridge = unset_bridge
    primary, replica = await pair(servers)
    await make_queue(primary.client, "mail")
    bridge.watch(source(primary, replica))
    await bridge.start()

    async def workers_are(count: int | None) -> bool:
        snapshot = (await bridge.records()).newest("mail")
        return snapshot is not None and snapshot.workers == count

    await eventually(lambda: workers_are(0), what="no worker")
    await primary.kill()
    await eventually(lambda: workers_are(None), what="workers unknown, never none")


async def test_replica_that_falls_behind_is_waited_for(unset_bridge: Bridge, servers: RedisServers) -> None:
    """One that was made from an older copy looks like a stream begun anew; the primary knows that it is none."""
    bridge = unset_bridge
    primary, replica = await pair(servers)
    await make_queue(primary.client, "mail")
    await add_events(primary.client, "mail", 50)
    await copied(primary, 1)
    bridge.watch(source(primary, replica))
    await bridge.start()

    async def are_told(count: int) -> bool:
        return len(await told(bridge)) >= count

    await eventually(lambda: are_told(50), what="what was there")
    await replica.client.replicaof("NO", "ONE")
    await replica.client.xtrim("bull:mail:events", maxlen=0, approximate=False)
    await replica.client.delete("bull:mail:events")
    await add_events(replica.client, "mail", 3, first=900)

    async def is_noticed() -> bool:
        return "the replica is behind" in bridge.log

    await eventually(is_noticed, what="a replica that is not what its primary is")
    await add_events(primary.client, "mail", 50, first=50)
    await replica.client.replicaof("127.0.0.1", primary.port)
    await are_linked(replica)
    await eventually(lambda: are_told(100), what="the rest")

    assert await told(bridge) == [f"job-{number}" for number in range(100)]
    assert {event.epoch for event in (await bridge.records()).jobs} == {1}
    assert await bridge.metric("bridge_events_lost_total") == 0


async def test_replica_that_becomes_the_primary_is_read_on(unset_bridge: Bridge, servers: RedisServers) -> None:
    bridge = unset_bridge
    primary, replica = await pair(servers)
    await make_queue(primary.client, "mail")
    await add_events(primary.client, "mail", 50)
    await copied(primary, 1)
    bridge.watch(source(primary, replica))
    await bridge.start()
    await bridge.ready()
    await primary.kill()
    await replica.client.replicaof("NO", "ONE")
    await add_events(replica.client, "mail", 50, first=50)

    async def are_told() -> bool:
        return len(await told(bridge)) >= 100

    await eventually(are_told, what="the events of both")
    assert await told(bridge) == [f"job-{number}" for number in range(100)]
    assert {event.epoch for event in (await bridge.records()).jobs} == {1}
