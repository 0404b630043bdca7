"""Where a cluster keeps what: keys to slots, slots to nodes; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from redis.crc import key_slot

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door.link import Command, Reply
from bridge.topology import Address

SLOTS = 16384
KEYLESS = frozenset({"CLIENT", "CLUSTER", "INFO", "PING", "SCAN", "TIME"})


@dataclass(frozen=True, slots=True)
class Unit:
    """Commands that one node must get together: one, or MULTI … EXEC. They are commands[start:stop] of a call.

    slot: None = any node will do. to: the node that another one named for it. is_asking: though not its owner yet.
    """

    start: int
    stop: int
    slot: int | None
    to: Address | None = None
    is_asking: bool = False


@dataclass(frozen=True, slots=True)
class Shard:
    """The nodes that hold the same slots."""

    primary: Address
    replicas: tuple[Address, ...]

    @property
    def reader(self) -> Address:
        """Always the same replica while it is well: another one may be behind. The primary where there is none."""
        return min(self.replicas, default=self.primary)


class SlotTable:
    """Which shard has which slot."""

    def __init__(self, reply: Reply, asked: Address) -> None:
        """reply: of CLUSTER SLOTS, as `asked` gave it: it may leave its own host out."""
        self._shards: list[Shard | None] = [None] * SLOTS
        for first, last, *nodes in cast(list[list[Reply]], reply):
            primary, *replicas = [Address((node[0] or b"").decode() or asked.host, node[1]) for node in nodes]
            shard = Shard(primary, tuple(replicas))
            for slot in range(cast(int, first), cast(int, last) + 1):
                self._shards[slot] = shard

    def shard(self, slot: int) -> Shard:
        """The shard of a slot. Raises SourceUnavailable if no node has it."""
        found = self._shards[slot]
        if found is None:
            raise SourceUnavailable(f"no node of the cluster has slot {slot}")
        return found

    @property
    def shards(self) -> list[Shard]:
        """All of them, in a fixed order."""
        return sorted({shard for shard in self._shards if shard is not None}, key=lambda shard: shard.primary)


def slot_of(key: str | bytes | int) -> int:
    """The slot of a key."""
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


def units_of(commands: Sequence[Command]) -> list[Unit]:
    """The commands in units, in order."""
    units: list[Unit] = []
    start = 0
    while start < len(commands):
        stop = start + 1
        if commands[start][0] == "MULTI":
            while commands[stop - 1][0] != "EXEC":
                stop += 1
        keys = [key for command in commands[start:stop] if (key := _key_of(command)) is not None]
        units.append(Unit(start, stop, slot_of(keys[0]) if keys else None))
        start = stop
    return units


def _key_of(command: Command) -> str | bytes | int | None:
    """The first key a command names."""
    name = command[0]
    if name in KEYLESS or len(command) == 1:
        return None
    if name == "XREAD":
        return command[command.index("STREAMS") + 1]
    return command[2 if name == "XINFO" else 1]
