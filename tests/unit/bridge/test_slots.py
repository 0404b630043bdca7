"""Keys to slots, commands to units, slots to nodes."""

import pytest

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Command
from bridge.sources.bullmq.door.slots import SlotTable, slot_of, units_of
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.wire import read_commands
from bridge.topology import Address


def test_slot_is_that_of_the_braces_or_of_the_whole_key() -> None:
    """The numbers are those of CLUSTER KEYSLOT."""
    assert slot_of("foo") == 12182
    assert slot_of(b"{foo}:bar") == slot_of("x{foo}y") == 12182
    assert slot_of("bull:{}:x") != slot_of("bull:{}:y")
    assert slot_of("bull:{שלום}:meta") == slot_of("bull:{שלום}:events")


def test_transaction_is_one_unit_and_every_other_command_one_of_its_own() -> None:
    commands: list[Command] = [
        ("HMGET", "bull:{a}:1", "name"),
        *read_commands("bull:{b}:events", Position(), 10),
        ("XREAD", "COUNT", 1, "BLOCK", 5, "STREAMS", "bull:{c}:events", "bull:{c}:x", "0-0", "0-0"),
        ("XINFO", "STREAM", "bull:{a}:events"),
        ("CLIENT", "LIST"),
    ]
    units = [(unit.start, unit.stop, unit.slot) for unit in units_of(commands)]

    a, b, c = (slot_of(f"{{{name}}}") for name in "abc")
    assert units == [(0, 1, a), (1, 5, b), (5, 6, c), (6, 7, a), (7, 8, None)]


def test_table_knows_primaries_and_replicas_and_who_has_nothing() -> None:
    table = SlotTable([[0, 9, [b"h1", 1, b"id", []], [b"h2", 2, b"id"]], [20, 29, [None, 3, b"id"]]], Address("me", 9))

    assert (table.shard(5).primary, table.shard(5).reader) == (("h1", 1), ("h2", 2))
    assert table.shard(20).primary == table.shard(20).reader == ("me", 3), "it left its own host out"
    assert [shard.primary for shard in table.shards] == [("h1", 1), ("me", 3)]
    with pytest.raises(SourceUnavailable, match="slot 15"):
        table.shard(15)
