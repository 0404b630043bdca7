"""Redis in every shape a source may have: alone, with replicas, sentinels, as a cluster. Real processes on loopback.

async with redis_servers(tmp_path) as servers:
    primary = await servers.start("primary")
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from redis.crc import key_slot
from redis.exceptions import TimeoutError as TimedOut

from tests.clients import redis
from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tests.tools import tool
from tocsin.stack.process import Child, Command, accepts_connections, start, wait_ready
from tocsin.stack.valkey import valkey_binary

SLOTS = 16384


@dataclass(frozen=True)
class RedisServer:
    """One process. client: may do everything there. tls_port: 0 = it speaks no TLS."""

    name: str
    port: int
    child: Child
    client: Any
    tls_port: int = 0

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Of its plain port."""
        return f"redis://{self.address}/0"

    async def kill(self) -> None:
        """kill -9."""
        self.child.process.kill()
        await self.child.exited()


class RedisServers:
    """Starts them; all end with the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._started: list[RedisServer] = []

    async def start(self, name: str, *options: str, password: str | None = None) -> RedisServer:
        """A Valkey with options, as on a command line; password: what its client logs in with."""
        return await self._start(name, [str(valkey_binary())], options, password)

    async def start_redis(
        self, name: str, *options: str, certificate: Path | None = None, password: str | None = None
    ) -> RedisServer:
        """Debian's Redis 7.0, which speaks TLS if it has a certificate; to its like too."""
        return await self._start(name, [tool("redis-server")], options, password, certificate)

    async def start_sentinel(
        self,
        name: str,
        master: str,
        primary: RedisServer,
        *,
        quorum: int,
        password: str | None = None,
        own_password: str,
        certificate: Path | None = None,
    ) -> RedisServer:
        """A sentinel that calls a primary down after three seconds, and tries anew if nobody was elected after eight.

        After one, on a busy machine, it called one down that it had just promoted: what was written to that was lost.

        password: the primary's. certificate: it speaks TLS, to the primary too.
        """
        config = self._folder / f"{name}.conf"
        port = primary.tls_port if certificate is not None else primary.port
        lines = [
            f"sentinel monitor {master} 127.0.0.1 {port} {quorum}",
            f"sentinel down-after-milliseconds {master} 3000",
            f"sentinel failover-timeout {master} 4000",
            *([f"sentinel auth-pass {master} {password}"] if password else []),
            f"requirepass {own_password}",
            f"sentinel sentinel-pass {own_password}",
        ]
        config.write_text("\n".join(lines) + "\n")
        program = str(valkey_binary()) if certificate is None else tool("redis-server")
        return await self._start(name, [program, str(config), "--sentinel"], [], own_password, certificate)

    async def start_cluster(
        self,
        count: int = 3,
        *,
        replicas: int = 0,
        options: Sequence[str] = (),
        is_redis: bool = False,
        certificate: Path | None = None,
    ) -> list[RedisServer]:
        """A cluster of `count` primaries and so many replicas each, all slots given out. The primaries come first.

        is_redis: of Debian's Redis 7.0, whose replicas, unlike Valkey's, know nothing of a slot that moves.
        certificate: the same, with TLS.
        """
        start = partial(self.start_redis, certificate=certificate) if is_redis or certificate else self.start
        timeout = "3000" if replicas else "10000"  # a node that waits for a busy disk is not down; nobody takes over
        names = [f"node{number}" for number in range(count * (1 + replicas))]
        nodes = [await start(name, *_node_options(timeout), *options) for name in names]
        for number, node in enumerate(nodes[:count]):
            first, last = number * SLOTS // count, (number + 1) * SLOTS // count - 1
            await node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        ids = [await node.client.execute_command("CLUSTER", "MYID") for node in nodes]
        buses = [await _bus_port(node) for node in nodes]
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            await nodes[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)

        async def know_all() -> bool:
            told = [await node.client.execute_command("CLUSTER", "NODES", NEVER_DECODE="") for node in nodes]
            return all(text.count(b" connected") == len(nodes) and b"handshake" not in text for text in told)

        await eventually(know_all, what="every node knows every other")
        for number, node in enumerate(nodes[count:]):
            await node.client.execute_command("CLUSTER", "REPLICATE", ids[number % count])

        async def is_whole() -> bool:
            try:
                infos = [await node.client.execute_command("CLUSTER", "INFO", NEVER_DECODE="") for node in nodes]
                shards = [shard for node in nodes for shard in await node.client.execute_command("CLUSTER", "SLOTS")]
            except TimedOut:  # a node that waits for a busy disk answers later
                return False
            are_listed = all(len(shard) == 2 + 1 + replicas for shard in shards)
            return are_listed and all(b"cluster_state:ok" in text for text in infos)

        await eventually(is_whole, what="a cluster that is well")
        return nodes

    async def stop(self) -> None:
        """Stop all of them."""
        for server in self._started:
            await server.client.aclose()
        await asyncio.gather(*(server.child.stop() for server in self._started))

    async def _start(
        self,
        name: str,
        program: list[str],
        options: Sequence[str],
        password: str | None = None,
        certificate: Path | None = None,
    ) -> RedisServer:
        port, data = free_port(), self._folder / name
        tls_port = 0 if certificate is None else free_port()
        data.mkdir(exist_ok=True)
        common = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(data))
        saving = () if "--sentinel" in program else ("--save", "")
        secured = () if certificate is None else _tls_options(certificate, tls_port)
        command = Command(name, [*program, *common, *saving, *secured, *options], data / "log")
        child = start(command)
        client = redis.from_url(f"redis://127.0.0.1:{port}/0", password=password, socket_timeout=30)
        server = RedisServer(name, port, child, client, tls_port)
        self._started.append(server)
        await wait_ready(child, lambda: accepts_connections(port), seconds=READY_SECONDS)
        return server


@asynccontextmanager
async def redis_servers(folder: Path) -> AsyncGenerator[RedisServers]:
    """Start any number of them in the block."""
    servers = RedisServers(folder)
    try:
        yield servers
    finally:
        await servers.stop()


def slot_of(queue: str, prefix: str = "bull") -> int:
    """The slot of a queue's keys."""
    return key_slot(f"{prefix}:{queue}:events".encode())


async def move_slot(nodes: Sequence[RedisServer], slot: int, *, keys_a_step: int = 3) -> None:
    """Give a slot to another primary, as redis-cli --cluster reshard does: some keys at a time, under traffic."""
    owner, to = await begin_move(nodes, slot)
    await end_move(nodes, owner, to, slot, keys_a_step=keys_a_step)


async def end_move(
    nodes: Sequence[RedisServer], owner: RedisServer, to: RedisServer, slot: int, *, keys_a_step: int = 3
) -> None:
    """Move the rest of its keys, and tell everybody."""
    while keys := await owner.client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, keys_a_step):
        await move_keys(owner, to, *keys)
    mine = await to.client.execute_command("CLUSTER", "MYID")
    for node in (to, owner, *(other for other in nodes if other not in (to, owner))):
        await node.client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", mine)


async def begin_move(nodes: Sequence[RedisServer], slot: int) -> tuple[RedisServer, RedisServer]:
    """Say that a slot moves; return from whom, and to whom."""
    await agreement(nodes)
    owner = await owner_of(nodes, slot)
    to = nodes[(nodes.index(owner) + 1) % len(nodes)]
    ids = {node.port: await node.client.execute_command("CLUSTER", "MYID") for node in (owner, to)}
    await to.client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner.port])
    await owner.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to.port])
    return owner, to


async def agreement(nodes: Sequence[RedisServer]) -> None:
    """Wait until every node tells the same owner of each slot, and the same epochs, no two alike.

    Whoever takes a slot raises its epoch above those it knows: where it does not know them all, the old owner's last
    ping, sent before it gave the slot up and read after, takes the slot back from the new one, and nobody has it.
    """

    async def is_there() -> bool:
        told = [_primaries(await node.client.execute_command("CLUSTER", "NODES", NEVER_DECODE="")) for node in nodes]
        epochs = {epoch for _, epoch, _ in told[0]}
        return len(epochs) == len(told[0]) and all(one == told[0] for one in told)

    await eventually(is_there, what="nodes that agree who has which slot")


def _primaries(told: bytes) -> set[tuple[bytes, bytes, tuple[bytes, ...]]]:
    """Of each its id, epoch and slots, as CLUSTER NODES tells them."""
    lines = [line.split() for line in told.splitlines() if b"master" in line.split()[2]]
    return {(line[0], line[6], tuple(part for part in line[8:] if not part.startswith(b"["))) for line in lines}


async def move_keys(owner: RedisServer, to: RedisServer, *keys: str | bytes) -> None:
    """Move some keys of a slot that moves."""
    await owner.client.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)


async def copied(primary: RedisServer, replicas: int) -> None:
    """Wait until so many replicas hold all that was written so far; WAIT would look at one connection's writes only."""
    written = (await primary.client.info("replication"))["master_repl_offset"]

    async def are_level() -> bool:
        told = await primary.client.info("replication")
        each = [told[f"slave{number}"] for number in range(told["connected_slaves"])]
        return sum(one["state"] == "online" and one["offset"] >= written for one in each) >= replicas

    await eventually(are_level, what=f"{replicas} replicas that hold everything")


async def owner_of(nodes: Sequence[RedisServer], slot: int) -> RedisServer:
    """The primary that has a slot."""
    for first, last, primary, *_ in await nodes[0].client.execute_command("CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return next(node for node in nodes if node.port == primary[1])
    raise AssertionError(f"nobody has slot {slot}")


def _tls_options(certificate: Path, port: int) -> tuple[str, ...]:
    """Clients need show no certificate, unless a later option says so."""
    files = ("--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file")
    return (
        *("--tls-port", str(port), "--tls-auth-clients", "no", "--tls-replication", "yes", "--tls-cluster", "yes"),
        *(word for file in files for word in (file, str(certificate))),
    )


def _node_options(node_timeout_ms: str) -> tuple[str, ...]:
    bus = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", node_timeout_ms)
    return (*bus, "--repl-ping-replica-period", "1")


async def _bus_port(node: RedisServer) -> int:
    return int((await node.client.config_get("cluster-port"))["cluster-port"])
