"""A Redis Cluster: queues in as many slots as there are queues, or all in one; slots move, and nothing is lost."""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.metrics import Metrics
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.door import Command, Door
from bridge.sources.bullmq.door.opening import open_link
from bridge.sources.bullmq.snapshots.waiting import Waits
from bridge.sources.bullmq.source import BullmqSource
from bridge.sources.bullmq.translate import Place
from bridge.topology import Topology
from tests.bullmq.driver import run_workload, workload
from tests.clients import redis
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import documented_rules
from tests.integration.bridge.truth import differences, has_ended, out_of_order
from tests.integration.bridge.writing import writing
from tests.servers.redis_servers import (
    RedisServer,
    RedisServers,
    begin_move,
    copied,
    end_move,
    move_keys,
    move_slot,
    owner_of,
    slot_of,
)
from tocsin.breakers import Breakers
from tocsin.health import Health
from tocsin.settings import read

CONNECTIONS_A_NODE = 4
SOURCES = Path(__file__).parents[3] / "docs" / "sources.md"


def source(nodes: list[RedisServer], more: str = "") -> str:
    """A sources file that names one node: the others are learned from it."""
    return f"""
        [[source]]
        name = "main"
        mode = "cluster"
        nodes = ["{nodes[0].address}"]
        {more}
    """


@asynccontextmanager
async def app_of(node: RedisServer) -> AsyncGenerator[Any]:
    """The user's app as far as a test plays it by hand."""
    client: Any = redis.RedisCluster.from_url(node.url, socket_timeout=30)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def nodes(servers: RedisServers) -> list[RedisServer]:
    """Three nodes without replicas."""
    return await servers.start_cluster(3)


@pytest.fixture
async def app(nodes: list[RedisServer]) -> AsyncGenerator[Any]:
    """The user's app as far as a test plays it by hand."""
    async with app_of(nodes[0]) as client:
        yield client


async def connections_of_the_bridge(node: RedisServer) -> int:
    """How many connections it has to a node."""
    return sum(client["name"] == "tocsin-bridge" for client in await node.client.client_list())


async def errors(node: RedisServer) -> set[str]:
    """Kinds of errors a node has answered with."""
    return {name.removeprefix("errorstat_") for name in await node.client.info("errorstats")}


async def lists_of_clients(node: RedisServer) -> int:
    """How often it was asked who is connected."""
    return (await node.client.info("commandstats")).get("cmdstat_client|list", {"calls": 0})["calls"]


def cluster_rules() -> list[str]:
    """The rules that docs/sources.md gives for a cluster, beyond those for every Redis."""
    found = re.search(r"\*\*On a cluster\*\* also `([^`]+)`, and `([^`]+)` to read from replicas", SOURCES.read_text())
    assert found is not None
    return [*found[1].split(), found[2]]


async def make_reader(nodes: list[RedisServer]) -> str:
    """Make the documented user on every node; return the credentials of the sources file."""
    for node in nodes:
        await node.client.execute_command("ACL", "SETUSER", "tocsin", *documented_rules(), *cluster_rules())
    return 'credentials = { username = "tocsin", password = "reading" }'


@pytest.mark.slow
async def test_300_queues_in_300_slots_are_relayed_while_a_slot_moves(
    unset_bridge: Bridge, nodes: list[RedisServer], app: Any
) -> None:
    bridge = unset_bridge
    queues = [f"{{q{number}}}" for number in range(1, 301)]
    real = queues[:6]
    assert len({slot_of(queue) for queue in queues}) == 300
    for queue in queues[6:]:
        await make_queue(app, queue)
    bridge.watch(source(nodes, await make_reader(nodes)))
    await bridge.start()
    await bridge.ready()

    async def write(queue: str, number: int) -> None:
        fields = {"event": "added", "jobId": f"job-{number}", "name": "send"}
        await app.xadd(f"bull:{queue}:events", fields)

    async with (
        writing(write, queues[6:]) as writer,
        workload(nodes[0].url, version=6, jobs=300, queues=real, cluster=True, rate=60) as running,
    ):
        moves = 0
        while running.is_running or moves <= 40:
            await move_slot(nodes, slot_of(queues[6 + moves % 20]))
            moves += 1
        truth = await running.finish()
        await writer.pause()

        async def are_told() -> bool:
            records = await bridge.records()
            written = sum(event.queue not in real for event in records.jobs)
            return written >= writer.count and has_ended(records, truth)

        await eventually(are_told, what="every event")

    records = await bridge.records()
    assert writer.told_wrongly(records) == []
    assert differences(records, truth) == []
    assert out_of_order(records) == []
    assert max(Counter(event.id for event in records.jobs).values()) == 1
    assert {event.epoch for event in records.jobs} == {1}
    assert await bridge.metric("bridge_events_lost_total") == 0
    assert await bridge.metric("bridge_queues_watched") == 300
    assert max([await connections_of_the_bridge(node) for node in nodes]) <= CONNECTIONS_A_NODE
    assert [await node.client.acl_log() for node in nodes] == [[], [], []]


async def test_queues_of_one_slot_are_waited_for_by_a_blocking_read(
    unset_bridge: Bridge, nodes: list[RedisServer]
) -> None:
    """With as many lanes as there are partitions, and four connections all the same."""
    bridge = unset_bridge
    bridge.environ["KAFKA_PARTITIONS"] = "8"
    queues = [f"q{number}" for number in range(40)]
    bridge.watch(source(nodes, 'prefix = "{bull}"'))
    await bridge.start()
    await bridge.ready()
    truth = await run_workload(nodes[0].url, version=6, jobs=200, queues=queues[:5], prefix="{bull}", cluster=True)
    owner = await owner_of(nodes, slot_of("q0", "{bull}"))
    busy = 0

    async def is_told() -> bool:
        nonlocal busy
        busy = max(busy, await connections_of_the_bridge(owner))
        return has_ended(await bridge.records(), truth)

    await eventually(is_told, what="every job's end")

    async def blocks() -> bool:
        return (await owner.client.info("clients"))["blocked_clients"] > 0

    await eventually(blocks, what="a read that blocks")
    assert differences(await bridge.records(), truth) == []
    assert 2 <= busy <= CONNECTIONS_A_NODE


async def test_workers_are_counted_over_all_nodes(unset_bridge: Bridge, nodes: list[RedisServer]) -> None:
    bridge = unset_bridge
    queues = ["{a}", "{b}", "{c}"]
    assert len({(await owner_of(nodes, slot_of(queue))).port for queue in queues}) > 1
    bridge.watch(source(nodes))
    await bridge.start()
    async with workload(nodes[0].url, version=6, jobs=100_000, queues=queues, cluster=True, rate=20):

        async def are_counted() -> bool:
            records = await bridge.records()
            newest = [records.newest(queue) for queue in queues]
            return [snapshot and snapshot.workers for snapshot in newest] == [1, 1, 1]

        await eventually(are_counted, what="one worker each")


async def test_half_moved_slot_is_read_where_each_key_is(nodes: list[RedisServer], app: Any) -> None:
    """In one call, with a transaction: the moved keys at the new node, the others at the old one."""
    door = Door(open_link(Topology.model_validate({"mode": "cluster", "nodes": [nodes[0].address]})))
    await make_queue(app, "{a}")
    await add_events(app, "{a}", 3)
    await app.set("bull:{a}:1", "stays")
    await app.set("bull:{other}:1", "elsewhere")
    commands: list[Command] = [
        ("GET", "bull:{a}:1"),
        ("MULTI",),
        ("XINFO", "STREAM", "bull:{a}:events"),
        ("XREAD", "COUNT", 10, "STREAMS", "bull:{a}:events", "0-0"),
        ("EXEC",),
        ("GET", "bull:{other}:1"),
        ("HGET", "bull:{a}:meta", "opts.maxLenEvents"),
    ]
    before = await door.ask(commands)
    owner, to = await begin_move(nodes, slot_of("{a}"))
    await move_keys(owner, to, "bull:{a}:events", "bull:{a}:meta")
    half = await door.ask(commands)
    await end_move(nodes, owner, to, slot_of("{a}"))
    after = await door.ask(commands)

    assert (before[0], before[5], before[6]) == (b"stays", b"elsewhere", b"10000")
    assert len(before[4][1][0][1]) == 3
    assert dict(zip(before[4][0][::2], before[4][0][1::2], strict=True))[b"entries-added"] == 3
    for replies in (half, after):
        assert [replies[0], replies[5], replies[6]] == [before[0], before[5], before[6]]
        assert replies[4][1] == before[4][1], "the same entries"
        assert replies[4][0][1] == 3
    assert {"MOVED", "ASK"} <= {name for node in nodes for name in await errors(node)}
    await door.close()


@pytest.mark.slow
@pytest.mark.parametrize("read_from", ["primary", "replica"])
async def test_node_that_dies_is_replaced_by_its_replica(
    unset_bridge: Bridge, servers: RedisServers, read_from: str
) -> None:
    bridge = unset_bridge
    nodes = await servers.start_cluster(3, replicas=1)
    queues = [f"{{q{number}}}" for number in range(30)]
    async with app_of(nodes[1]) as app:
        for queue in queues:
            await make_queue(app, queue)
            await add_events(app, queue, 10)
    login = await make_reader(nodes)
    bridge.watch(source(nodes, f'read_from = "{read_from}"\n{login}'))
    await bridge.start()

    async def are_told(count: int) -> bool:
        return len((await bridge.records()).jobs) >= count

    await eventually(lambda: are_told(300), what="what was there")
    for node in nodes[:3]:
        await copied(node, 1)
    readers = nodes[3:] if read_from == "replica" else nodes[:3]
    assert min([await connections_of_the_bridge(node) for node in readers]) > 0
    await nodes[0].kill()

    async def is_replaced() -> bool:
        info = await nodes[1].client.execute_command("CLUSTER", "INFO", NEVER_DECODE="")
        return b"cluster_state:ok" in info and (await nodes[3].client.info("replication"))["role"] == "master"

    await eventually(is_replaced, what="a replica that took over")
    async with app_of(nodes[1]) as app:
        for queue in queues:
            await add_events(app, queue, 10, first=10)
    await eventually(lambda: are_told(600), what="what came after")
    records = await bridge.records()
    for queue in queues:
        assert [event.job_id for event in records.of_queue(queue)] == [f"job-{number}" for number in range(20)]
    assert {event.epoch for event in records.jobs} == {1}
    assert await bridge.metric("bridge_events_lost_total") == 0

    async def are_closed() -> bool:
        states = await bridge.samples("bridge_breaker_state")
        return (f"redis:main/{nodes[0].address}",) not in states and set(states.values()) == {0}

    await eventually(are_closed, what="no breaker of the node that is no more")


@pytest.mark.slow
async def test_node_that_is_away_stops_no_queue_of_another(unset_bridge: Bridge, servers: RedisServers) -> None:
    """It has no replica: nobody takes over. Whatever of the others is told goes on, and its own when it is back."""
    bridge = unset_bridge
    nodes = await servers.start_cluster(3, options=("--cluster-require-full-coverage", "no"))
    queues = [f"{{q{number}}}" for number in range(9)]
    owners = {queue: await owner_of(nodes, slot_of(queue)) for queue in queues}
    away = [queue for queue in queues if owners[queue] is nodes[0]]
    *there, new = [queue for queue in queues if queue not in away]
    assert away
    async with app_of(nodes[1]) as app:
        for queue in (*away, *there):
            await make_queue(app, queue)
            await add_events(app, queue, 10)
        bridge.watch(source(nodes[1:]))
        await bridge.start()

        async def are_told(queues: list[str], count: int) -> bool:
            records = await bridge.records()
            return all(len(records.of_queue(queue)) == count for queue in queues)

        await eventually(lambda: are_told([*away, *there], 10), what="what was there")
        nodes[0].child.process.send_signal(signal.SIGSTOP)
        await make_queue(app, new)
        await add_events(app, new, 10)
        for queue in (*there, new):
            await add_events(app, queue, 10, first=10)
            await app.lpush(f"bull:{queue}:wait", "job-1")
        await eventually(lambda: are_told([*there, new], 20), what="what came to the others, a new one too")

        async def are_counted() -> bool:
            records = await bridge.records()
            waiting = [newest.waiting if (newest := records.newest(queue)) else 0 for queue in (*there, new)]
            told = records.source()
            return set(waiting) == {1} and told is not None and not told.is_reachable

        await eventually(are_counted, what="the others' counts, and that one is away")

        async def is_found_out() -> bool:
            return await bridge.metric("bridge_breaker_state", dependency=f"redis:main/{nodes[0].address}") > 0

        await eventually(is_found_out, what="a breaker that is open, or tries")
        nodes[0].child.process.send_signal(signal.SIGCONT)
        for queue in away:
            await add_events(app, queue, 10, first=10)
        await eventually(lambda: are_told(away, 20), what="what came to the one that was away")

        async def is_back() -> bool:
            told = (await bridge.records()).source()
            return told is not None and told.is_reachable

        await eventually(is_back, what="a source that answers")
    records = await bridge.records()
    assert "gone" not in {event.event for event in records.jobs}
    assert {event.epoch for event in records.jobs} == {1}
    assert len({event.id for event in records.jobs}) == len(records.jobs)
    assert await bridge.metric("bridge_events_lost_total") == 0


async def test_counts_wait_once_for_a_node_that_does_not_say_who_works_there(
    servers: RedisServers, tmp_path: Path
) -> None:
    """Whoever asks for counts meanwhile has the same answer: workers are unknown, the counts of other nodes are not."""
    nodes = await servers.start_cluster(3, options=("--cluster-require-full-coverage", "no"))
    queues = [f"{{q{number}}}" for number in range(9)]
    owners = {queue: await owner_of(nodes, slot_of(queue)) for queue in queues}
    there = [queue for queue in queues if owners[queue] is nodes[1]]
    assert len(there) > 1
    async with app_of(nodes[1]) as app:
        for queue in there:
            await make_queue(app, queue)
            await app.lpush(f"bull:{queue}:wait", "job-1")
    sources = tmp_path / "sources.toml"
    sources.write_text(source(nodes[1:]))
    settings = read(BridgeSettings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TOCSIN_SOURCES_FILE": str(sources)})
    registry = CollectorRegistry()
    of = BullmqSource(settings.sources[0], settings, Metrics(registry), Health(), Breakers(settings, registry))
    await of.door.ask([("EXISTS", f"bull:{there[0]}:meta")])  # it knows the nodes now
    nodes[0].child.process.send_signal(signal.SIGSTOP)
    try:
        snapshots = await asyncio.gather(*(of.snapshots([Place("", "main", queue)], Waits({})) for queue in there))
    finally:
        nodes[0].child.process.send_signal(signal.SIGCONT)
        await of.close()
    assert [(made.waiting, made.workers) for some in snapshots for made in some] == [(1, None)] * len(there)
    assert [await lists_of_clients(node) for node in nodes[1:]] == [1, 1]


async def test_standalone_source_that_is_a_cluster_is_told_so(unset_bridge: Bridge, nodes: list[RedisServer]) -> None:
    bridge = unset_bridge
    bridge.environ["REDIS_URL"] = nodes[0].url
    await bridge.start()

    async def is_said() -> bool:
        return 'mode = \\"cluster\\"' in bridge.log

    await eventually(is_said, what="what it is")
