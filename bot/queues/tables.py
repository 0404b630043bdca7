"""Compacted topics as tables in memory: the newest record of each key, as the bot read it itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import structlog

from bot.kafka import KafkaRecord
from tocsin.events import BadRecord, SchedulerSnapshot, SourceSnapshot, decode

log = structlog.get_logger("tables")


class Written(NamedTuple):
    """When a row was last written, by the monotonic clock. is_live: we saw it; if not, it was there when we came."""

    at: float
    is_live: bool


Row = TypeVar("Row", SchedulerSnapshot, SourceSnapshot)


@dataclass
class Table(Generic[Row]):
    """Rows by their record's key. told: called with each row that we see being written."""

    kind: type[Row]
    told: Callable[[Row], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    has_caught_up: bool = False
    read_at: float | None = None
    rows: dict[bytes, Row] = field(default_factory=dict[bytes, Row])
    heard: dict[bytes, Written] = field(default_factory=dict[bytes, Written])

    def take(self, record: KafkaRecord, *, is_live: bool = False) -> None:
        """Keep a record; a tombstone removes its row. A bad one is logged and left out."""
        if record.value is None:
            self.rows.pop(record.key, None)
            self.heard.pop(record.key, None)
            return
        self.heard[record.key] = Written(self.clock(), is_live)
        try:
            self.rows[record.key] = row = decode(self.kind, record.value)
        except BadRecord as bad:
            log.error("bad_row", offset=record.offset, partition=record.partition, reason=str(bad)[:200])
            return
        if is_live:
            self.told(row)
