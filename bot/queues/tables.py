"""Compacted topics as tables in memory: the newest record of each key, as the bot read it itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from bot.kafka import KafkaRecord
from tocsin.events import BadRecord, SchedulerSnapshot, SourceSnapshot, decode

log = structlog.get_logger("tables")

Row = TypeVar("Row", SchedulerSnapshot, SourceSnapshot)


@dataclass
class Table(Generic[Row]):
    """Rows by their record's key."""

    kind: type[Row]
    clock: Callable[[], float] = time.monotonic
    has_caught_up: bool = False
    read_at: float | None = None
    rows: dict[bytes, Row] = field(default_factory=dict[bytes, Row])
    heard: dict[bytes, float] = field(default_factory=dict[bytes, float])
    """When each row was written last while we were reading, by the monotonic clock."""

    def take(self, record: KafkaRecord, *, is_live: bool = False) -> None:
        """Keep a record; a tombstone removes its row. A bad one is logged and left out."""
        if record.value is None:
            self.rows.pop(record.key, None)
            self.heard.pop(record.key, None)
            return
        if is_live:
            self.heard[record.key] = self.clock()
        try:
            self.rows[record.key] = decode(self.kind, record.value)
        except BadRecord as bad:
            log.error("bad_row", offset=record.offset, partition=record.partition, reason=str(bad)[:200])
