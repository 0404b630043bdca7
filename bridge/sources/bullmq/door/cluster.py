"""A Redis Cluster asked as if it were one Redis: each command goes to the node that has its slot.

Slots may move at any moment: what a node sends elsewhere is asked there, within the same call.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError

from bridge.errors import SourceUnavailable, TooSlow
from bridge.sources.bullmq.door.guards import Guards
from bridge.sources.bullmq.door.link import ASK_SECONDS, Command, Link, Refused, Reply
from bridge.sources.bullmq.door.pools import pool_to
from bridge.sources.bullmq.door.single import Single
from bridge.sources.bullmq.door.slots import SlotTable, Unit, slot_of, units_of
from bridge.topology import Address, Topology

CONNECTIONS_A_NODE = 4
MOST_BLOCKING = 2
"""Of these, so that there is always one for what does not wait."""

LEARN_SECONDS = 3.0
NODES_PART = 0.9
"""Of what is left of a call's time, for the nodes: one that hangs is told from the others while the call goes on."""

PAUSES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Before a command is sent once more: a node may not know yet what another one does."""


class Cluster:
    """The nodes of one cluster, each through a pool of its own."""

    def __init__(self, topology: Topology, guards: Guards) -> None:
        self._topology = topology
        self._guards = guards
        self._from_replica = topology.read_from == "replica"
        self._nodes: dict[Address, Single] = {}
        self._table: SlotTable | None = None
        self._is_stale = True
        self._learning = asyncio.Lock()
        self._may_block = MOST_BLOCKING

    @property
    def may_lag(self) -> bool:
        return self._from_replica

    async def ask(
        self, commands: Sequence[Command], *, timeout: float = ASK_SECONDS, as_text: bool = False
    ) -> list[Reply]:
        return await self._ask(commands, timeout, from_replica=self._from_replica, as_text=as_text)

    async def ask_primary(self, commands: Sequence[Command]) -> list[Reply]:
        return await self._ask(commands, ASK_SECONDS, from_replica=False)

    async def parts(self) -> Sequence[Link]:
        shards = (await self._learned()).shards
        return [self._node(shard.reader if self._from_replica else shard.primary) for shard in shards]

    async def primaries(self) -> Sequence[Link]:
        return [self._node(shard.primary) for shard in (await self._learned()).shards]

    def groups(self, keys: Iterable[str]) -> list[list[str]]:
        by_slot: dict[int, list[str]] = {}
        for key in keys:
            by_slot.setdefault(slot_of(key), []).append(key)
        return list(by_slot.values())

    def shard(self, key: str) -> str:
        try:
            return "" if self._table is None else str(self._table.shard(slot_of(key)).primary)
        except SourceUnavailable:
            return ""

    @asynccontextmanager
    async def blocking(self) -> AsyncGenerator[bool]:
        if self._may_block == 0:
            yield False
            return
        self._may_block -= 1
        try:
            yield True
        finally:
            self._may_block += 1

    async def agree_to_cluster(self) -> None:
        """It is what we take it for."""

    @property
    def tracking(self) -> None:
        """Each node would need a connection: streams and logs are asked for again and again instead."""
        return None

    async def look_around(self) -> None:
        """Learn the nodes anew; those that left are let go."""
        self._is_stale = True
        shards = (await self._learned()).shards
        there = {address for shard in shards for address in (shard.primary, *shard.replicas)}
        for address in self._nodes.keys() - there:
            if (node := self._nodes.pop(address, None)) is not None:
                await node.close()
            self._guards.forget(str(address))

    async def close(self) -> None:
        for node in list(self._nodes.values()):  # a call that fails meanwhile changes their order
            await node.close()

    async def _ask(
        self, commands: Sequence[Command], timeout: float, *, from_replica: bool, as_text: bool = False
    ) -> list[Reply]:
        replies: list[Reply] = [None] * len(commands)
        left = units_of(commands)
        try:
            async with asyncio.timeout(timeout) as deadline:
                for pause in PAUSES:
                    how = {"from_replica": from_replica, "as_text": as_text}
                    left = await self._send(commands, left, replies, deadline, **how)
                    if not left:
                        break
                    await asyncio.sleep(pause)
        except TimeoutError:
            raise TooSlow("the cluster did not answer in time") from None
        return replies  # of what is left: the refusal

    async def _send(
        self,
        commands: Sequence[Command],
        units: list[Unit],
        replies: list[Reply],
        deadline: asyncio.Timeout,
        *,
        from_replica: bool,
        as_text: bool,
    ) -> list[Unit]:
        """Ask every node for its units, all at once; return those to be sent again, as they must be sent then."""
        table = await self._learned()
        by_node: dict[Address, list[Unit]] = {}
        for unit in units:
            by_node.setdefault(_node_of(unit, table, from_replica=from_replica), []).append(unit)
        seconds = NODES_PART * max(0.0, (deadline.when() or 0.0) - asyncio.get_running_loop().time())
        answers = await asyncio.gather(
            *(
                self._node(address).ask(_packed(commands, some), timeout=seconds, as_text=as_text)
                for address, some in by_node.items()
            ),
            return_exceptions=True,
        )
        again: list[Unit] = []
        for (address, some), answer in zip(by_node.items(), answers, strict=True):
            if isinstance(answer, BaseException):
                self._ask_last(address)
                self._forget(table)
                raise answer
            at = 0
            for unit in some:
                at += unit.is_asking
                mine = answer[at : at + unit.stop - unit.start]
                at += len(mine)
                replies[unit.start : unit.stop] = mine
                if (elsewhere := _redirected(unit, mine, address)) is not None:
                    again.append(elsewhere)
                    self._forget(table)
        return again

    def _node(self, address: Address) -> Single:
        node = self._nodes.get(address)
        if node is None:
            more = {"redis_connect_func": _connect_to_read} if self._from_replica else {}
            pool = pool_to(address, self._topology, most=CONNECTIONS_A_NODE, **more)
            node = self._nodes[address] = Single(pool, self._guards.of(str(address)), is_node=True)
        return node

    def _forget(self, table: SlotTable) -> None:
        if self._table is table:
            self._is_stale = True

    def _ask_last(self, address: Address) -> None:
        """It is away: whoever must learn the slots waits for it no more than once. It may have left meanwhile."""
        if (node := self._nodes.pop(address, None)) is not None:
            self._nodes[address] = node

    async def _learned(self) -> SlotTable:
        async with self._learning:
            if self._table is None or self._is_stale:
                self._table, self._is_stale = await self._learn(), False
            return self._table

    async def _learn(self) -> SlotTable:
        """Ask the nodes one after another, those we know first. Raises SourceUnavailable if none tells."""
        why = SourceUnavailable("no node of the cluster is known")
        for address in dict.fromkeys([*self._nodes, *self._topology.nodes]):
            try:
                reply = (await self._node(address).ask([("CLUSTER", "SLOTS")], timeout=LEARN_SECONDS))[0]
            except SourceUnavailable as error:
                self._ask_last(address)
                why = error
                continue
            if not isinstance(reply, Refused):
                return SlotTable(reply, address)
            why = SourceUnavailable(f"CLUSTER SLOTS was refused by {address}: {reply}")
        raise why


def _node_of(unit: Unit, table: SlotTable, *, from_replica: bool) -> Address:
    if unit.to is not None:
        return unit.to
    shard = table.shards[0] if unit.slot is None else table.shard(unit.slot)
    return shard.reader if from_replica else shard.primary


def _packed(commands: Sequence[Command], units: Sequence[Unit]) -> list[Command]:
    packed: list[Command] = []
    for unit in units:
        if unit.is_asking:
            packed.append(("ASKING",))
        packed += commands[unit.start : unit.stop]
    return packed


def _redirected(unit: Unit, replies: Sequence[Reply], by: Address) -> Unit | None:
    """How to send a unit again that this node did not serve; None if it did."""
    for reply in replies:
        if isinstance(reply, AskError):
            to = Address(cast(str, cast(Any, reply).host) or by.host, reply.port)
            return replace(unit, to=to, is_asking=not isinstance(reply, MovedError))
        if isinstance(reply, TryAgainError | ClusterDownError):
            return replace(unit, to=None, is_asking=False)
    return None


async def _connect_to_read(connection: Any) -> None:
    """A replica of a cluster answers only those who say that they only read."""
    await connection.on_connect()
    await connection.send_command("READONLY")
    await connection.read_response()
