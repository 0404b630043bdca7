"""A node of a cluster that takes calls and answers none: while the slots go elsewhere, and for its breaker."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import hiredis
import pytest
from prometheus_client import CollectorRegistry

from bridge.errors import SourceUnavailable
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.door.cluster import Cluster
from bridge.sources.bullmq.door.guards import Guards
from bridge.topology import Topology
from tests.eventually import eventually
from tests.tcp import listening
from tocsin.breakers import Breakers
from tocsin.settings import read


class Nodes:
    """They all name the same owner of every slot. Of GET nothing comes back. hanging: how many of these wait."""

    def __init__(self) -> None:
        self.owner = 0
        self.hanging = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = cast(Any, hiredis).Reader(notEnoughData=self)
        while chunk := await reader.read(65536):
            parser.feed(chunk)
            while (command := parser.gets()) is not self:
                if command[0] == b"GET":
                    self.hanging += 1
                elif command[0] == b"CLUSTER":
                    writer.write(b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % self.owner)
                else:
                    writer.write(b"+OK\r\n")


@asynccontextmanager
async def cluster_of(nodes: Nodes, count: int, guards: Guards) -> AsyncGenerator[tuple[Cluster, list[int]]]:
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(listening(nodes.serve)) for _ in range(count)]
        nodes.owner = ports[0]
        topology = Topology.model_validate({"mode": "cluster", "nodes": [f"127.0.0.1:{port}" for port in ports]})
        cluster = Cluster(topology, guards)
        try:
            yield cluster, ports
        finally:
            await cluster.close()


def one_failure_opens() -> Breakers:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "REDIS_URL": "redis://h:6379/0", "BREAKER_FAIL_MAX": "1"}
    return Breakers(read(BridgeSettings, environ), CollectorRegistry())


async def test_call_to_a_node_that_leaves_meanwhile_fails_like_any_other() -> None:
    nodes = Nodes()
    async with cluster_of(nodes, 2, Guards()) as (cluster, ports):
        asking = asyncio.create_task(cluster.ask([("GET", "key")], timeout=1.0))
        await eventually(lambda: nodes.hanging == 1, what="a call under way")
        nodes.owner = ports[1]
        await cluster.look_around()
        with pytest.raises(SourceUnavailable):
            await asking


async def test_node_that_left_is_neither_connected_to_nor_guarded_any_more() -> None:
    breakers = one_failure_opens()
    nodes = Nodes()
    async with cluster_of(nodes, 2, Guards("main", breakers)) as (cluster, ports):
        [part] = await cluster.parts()
        nodes.owner = ports[1]
        await cluster.look_around()
        with pytest.raises(SourceUnavailable, match="no part of the source"):
            await part.ask([("PING",)])
        assert breakers.states() == {}


async def test_node_that_answers_no_call_opens_its_breaker_and_makes_the_slots_doubtful() -> None:
    breakers = one_failure_opens()
    nodes = Nodes()
    async with cluster_of(nodes, 2, Guards("main", breakers)) as (cluster, ports):
        with pytest.raises(SourceUnavailable):
            await cluster.ask([("GET", "key")], timeout=5)  # a node has nine tenths of it, on a slow machine too
        assert breakers.is_open(f"redis:main/127.0.0.1:{ports[0]}")
        nodes.owner = ports[1]
        await cluster.parts()
        assert cluster.shard("key") == f"127.0.0.1:{ports[1]}", "another node was asked"
