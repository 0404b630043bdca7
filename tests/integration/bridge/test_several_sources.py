"""Several sources in one file, each of another kind: queues of one name stay apart."""

from typing import Any

from tests.clients import redis
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.servers.redis_servers import RedisServers
from tocsin.events import JobEvent

QUEUE = "{mail}"


async def test_queues_of_one_name_in_sources_of_every_kind_stay_apart(
    unset_bridge: Bridge, servers: RedisServers
) -> None:
    bridge = unset_bridge
    alone, primary = await servers.start("alone"), await servers.start("primary")
    sentinel = await servers.start_sentinel("sentinel", "watched", primary, quorum=1, own_password="s")
    nodes = await servers.start_cluster(3)
    sharded: Any = redis.RedisCluster.from_url(nodes[0].url)
    apps: dict[str, Any] = {"alone": alone.client, "watched": primary.client, "sharded": sharded}
    for number, app in enumerate(apps.values()):
        await make_queue(app, QUEUE)
        await add_events(app, QUEUE, 10, first=100 * number)
    bridge.watch(f"""
        [[source]]
        name = "alone"
        url = "{alone.url}"

        [[source]]
        name = "watched"
        env = "staging"
        mode = "sentinel"
        nodes = ["{sentinel.address}"]
        master = "watched"
        credentials = {{ sentinel_password = "s" }}

        [[source]]
        name = "sharded"
        mode = "cluster"
        nodes = ["{nodes[1].address}"]
    """)
    await bridge.start()

    async def added() -> list[JobEvent]:
        """Where the machine is busy it is found meanwhile that there are no such jobs, and told."""
        return [event for event in (await bridge.records()).jobs if event.event == "added"]

    async def are_told() -> bool:
        return len(await added()) == 30

    await eventually(are_told, what="the events of all")
    await bridge.ready()
    told = {name: [event for event in await added() if event.source == name] for name in apps}
    await sharded.aclose()

    assert {name: [event.job_id for event in events] for name, events in told.items()} == {
        name: [f"job-{100 * number + n}" for n in range(10)] for number, name in enumerate(apps)
    }
    assert [{event.env for event in events} for events in told.values()] == [{"prod"}, {"staging"}, {"prod"}]
