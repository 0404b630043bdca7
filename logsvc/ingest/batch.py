"""Batches of Kafka records, and how a record becomes a row: pure functions over bytes."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from tocsin.events import JobEvent, LogLine, QueueSnapshot, SchedulerSnapshot, SourceSnapshot
from tocsin.topics import Topics

BATCH_BYTES = 64 * 1024 * 1024
"""Most bytes of one insert: below ClickHouse's block limit, so a batch is one block and a token covers it whole."""


class Record(Protocol):
    """What is read from Kafka. value None is a tombstone; timestamp is the producer's clock, ms."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Fit(msgspec.Struct, frozen=True, gc=False):
    """A record that can be a row. value: the bytes to store. record: as it was read."""

    offset: int
    ts: int
    value: bytes
    record: Record


JOURNAL = "journal"
QUEUE_SNAPSHOTS = "queue_snapshots"


@dataclass(frozen=True)
class Feed:
    """One topic, the table its records go to, and their struct. kind tells events from log lines in the journal."""

    topic: str
    table: str
    struct: type[msgspec.Struct]
    kind: str = ""
    pace: float = 1.0
    """How many times slower than LOGSVC_INSERT_SECONDS; snapshots are read from Kafka, so their history can wait."""


def feeds(topics: Topics) -> tuple[Feed, ...]:
    """What is ingested."""
    return (
        Feed(topics.jobs, JOURNAL, JobEvent, "event"),
        Feed(topics.logs, JOURNAL, LogLine, "log"),
        Feed(topics.queues, QUEUE_SNAPSHOTS, QueueSnapshot, pace=20),
        Feed(topics.schedulers, "scheduler_snapshots", SchedulerSnapshot, pace=20),
        Feed(topics.sources, "source_snapshots", SourceSnapshot, pace=20),
    )


@dataclass(frozen=True)
class Span:
    """Offsets first to last, both included. Not every offset between is a record: transactions leave markers."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def parse_span(metadata: str) -> Span | None:
    """Read what a commit's metadata says is being stored; None where nothing is."""
    first, dash, last = metadata.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal()):
        return None
    return Span(int(first), int(last))


class _Numbered(Protocol):
    @property
    def offset(self) -> int: ...


def span_of(records: Sequence[_Numbered]) -> Span:
    return Span(records[0].offset, records[-1].offset)


class Buffer:
    """Records of one partition, read and not stored yet, in offset order."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def oldest(self) -> Record | None:
        return self._records[0] if self._records else None

    @property
    def newest(self) -> Record | None:
        return self._records[-1] if self._records else None

    def extend(self, records: Iterable[Record]) -> None:
        known = list(records)
        self._records += known
        self.bytes += _weight(known)

    def take(self, most_rows: int, most_bytes: int = BATCH_BYTES) -> list[Record]:
        """Remove and return the oldest records, at least one if there is any."""
        if len(self._records) <= most_rows and self.bytes <= most_bytes:
            whole = list(self._records)
            self._records.clear()
            self.bytes = 0
            return whole
        taken: list[Record] = []
        size = 0
        while self._records and len(taken) < most_rows:
            weight = len(self._records[0].value or b"")
            if taken and size + weight > most_bytes:
                break
            size += weight
            taken.append(self._records.popleft())
        self.bytes -= size
        return taken

    def take_through(self, last: int) -> list[Record]:
        """Remove and return every record up to offset last."""
        taken: list[Record] = []
        while self._records and self._records[0].offset <= last:
            record = self._records.popleft()
            self.bytes -= len(record.value or b"")
            taken.append(record)
        return taken


def _weight(records: Iterable[Record]) -> int:
    return sum([len(record.value or b"") for record in records])  # a list: a generator costs twice as much


def row_prefix(feed: Feed, cluster: str, partition: int) -> bytes:
    """The start of every row of one partition: where it came from. The record's own fields follow."""
    origin = msgspec.json.encode({"kafka_cluster": cluster, "kafka_topic": feed.topic, "kafka_partition": partition})
    kind = b',"kind":"%s"' % feed.kind.encode() if feed.kind else b""
    return origin[:-1] + kind + b',"kafka_offset":'


def splice(prefix: bytes, offset: int, value: bytes) -> bytes:
    """Put the record's origin into its JSON object without decoding it. value is known to be an object with fields."""
    return b"%s%d,%s" % (prefix, offset, value[value.index(b"{") + 1 :])


def rows(prefix: bytes, records: Iterable[Fit]) -> bytes:
    """Join records into one block of JSON lines."""
    return b"\n".join([splice(prefix, record.offset, record.value) for record in records])


def ts_bounds(records: Iterable[Fit]) -> tuple[int, int]:
    """Earliest and latest ts of records, ms; narrows a read-back to a few parts."""
    times = [record.ts for record in records]
    return min(times), max(times)
