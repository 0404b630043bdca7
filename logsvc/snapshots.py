"""What queues, schedulers and their Redis look like now, held in memory from Kafka: it is told without ClickHouse."""

import asyncio
from collections.abc import Callable, Sequence, Set
from typing import Any, TypeVar

import msgspec
import structlog

from logsvc.deadletters.newest import NEWEST, BuriedLetters
from logsvc.errors import KafkaDown
from logsvc.ingest.batch import Record
from logsvc.kafka import Reader
from logsvc.settings import LogsvcSettings
from logsvc.storable import fitted
from tocsin.events import BadRecord, QueueSnapshot, SchedulerSnapshot, SourceSnapshot
from tocsin.health import Health
from tocsin.lifecycle import pause, unless_cancelled

log = structlog.get_logger("logsvc.snapshots")

RETRY_SECONDS = 1.0

T = TypeVar("T", bound=msgspec.Struct)


class Snapshots:
    """The newest record of every key; what has a tombstone is gone.

    queues: by `source:queue`. schedulers: by `source:queue:scheduler`. sources: by source. ran: when a scheduler's run
    before its next one was due, ms, as far as it was seen. letters: the newest dead letters.
    as_of_ms: when Kafka last said there is nothing newer; 0 = not read yet.
    """

    def __init__(self, settings: LogsvcSettings, health: Health) -> None:
        self.queues: dict[bytes, QueueSnapshot] = {}
        self.schedulers: dict[bytes, SchedulerSnapshot] = {}
        self.sources: dict[bytes, SourceSnapshot] = {}
        self.ran: dict[bytes, int] = {}
        self.letters = BuriedLetters()
        self.as_of_ms = 0
        self._settings = settings
        self._health = health
        names = settings.topics
        self._known: dict[str, dict[bytes, Any]] = {
            names.queues: self.queues,
            names.schedulers: self.schedulers,
            names.sources: self.sources,
        }

    @property
    def is_complete(self) -> bool:
        """Whether the topics have been read to their end once."""
        return self.as_of_ms > 0

    async def run(self, stop: asyncio.Event) -> None:
        """Read until stop is set; after an outage of Kafka from the start again; what is known is shown until
        all is read.

        What is told only beside the queues has a reader of its own: where it may not be read, the queues still are.
        """
        names = self._settings.topics
        async with asyncio.TaskGroup() as group:
            for topics, at_end in (
                ([names.queues, names.schedulers], self._reached_end),
                ([names.sources, names.deadletter], self._reached_end_beside),
            ):
                group.create_task(unless_cancelled(f"reading {topics[0]}", self._follow(topics, stop, at_end)))

    async def _follow(self, topics: Sequence[str], stop: asyncio.Event, at_end: Callable[[Reader], None]) -> None:
        letters = self._settings.topics.deadletter
        while not stop.is_set():
            try:
                async with Reader(
                    self._settings, "snapshots", topics, from_start=True, newest={letters: NEWEST}
                ) as reader:
                    if letters in topics:
                        self.letters.begin(before=_left_out(reader, letters))
                    await self._read(reader, stop, at_end)
            except KafkaDown as error:
                log.warning("snapshots_interrupted", topics=topics, reason=str(error))
                await pause(stop, RETRY_SECONDS)

    async def _read(self, reader: Reader, stop: asyncio.Event, at_end: Callable[[Reader], None]) -> None:
        told = {place.topic: set[bytes]() for place in reader.end}
        is_at_end = False
        while not stop.is_set():
            for place, records in (await reader.poll()).items():
                for record in records:
                    self.take(place.topic, record)
                if not is_at_end:
                    told[place.topic] |= {record.key or b"" for record in records}
            positions = await reader.positions()
            if not is_at_end and all(positions[place] >= end for place, end in reader.end.items()):
                is_at_end = True
                for topic, keys in told.items():
                    self._keep_only(topic, keys)
            if is_at_end:
                at_end(reader)

    def _keep_only(self, topic: str, keys: Set[bytes]) -> None:
        """Forget what Kafka told before an outage and tells no more: the tombstone may be gone by now."""
        for key in self._known.get(topic, {}).keys() - keys:
            del self._known[topic][key]
            if topic == self._settings.topics.schedulers:
                self.ran.pop(key, None)

    def _reached_end(self, reader: Reader) -> None:
        self._health.ok("queues", lasting=True)
        self.as_of_ms = reader.heard_at() or self.as_of_ms

    def _reached_end_beside(self, reader: Reader) -> None:
        self.letters.as_of_ms = reader.heard_at() or self.letters.as_of_ms

    def take(self, topic: str, record: Record) -> None:
        """Keep one record, or forget what its tombstone names. What cannot be read is left out (ingest buries it)."""
        names = self._settings.topics
        try:
            if topic == names.queues:
                _keep(self.queues, record, QueueSnapshot)
            elif topic == names.schedulers:
                self._keep_scheduler(record)
            elif topic == names.sources:
                _keep(self.sources, record, SourceSnapshot)
            elif topic == names.deadletter:
                self.letters.take(record)
        except BadRecord as error:
            log.warning("snapshot_unreadable", topic=topic, reason=str(error))

    def _keep_scheduler(self, record: Record) -> None:
        key = record.key or b""
        before = self.schedulers.get(key)
        now = _keep(self.schedulers, record, SchedulerSnapshot)
        if now is None:
            self.ran.pop(key, None)
        elif before and before.next_run and now.next_run and now.next_run > before.next_run:
            self.ran[key] = before.next_run


def _left_out(reader: Reader, topic: str) -> int:
    """Offsets of a topic that come before those that are read."""
    return sum(start - reader.begin[place] for place, start in reader.start.items() if place.topic == topic)


def _keep(known: dict[bytes, T], record: Record, struct: type[T]) -> T | None:
    key = record.key or b""
    if record.value is None:
        known.pop(key, None)
        return None
    known[key], _ = fitted(struct, record.value)
    return known[key]
