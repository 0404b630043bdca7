"""Every record of one topic prefix, decoded, as a read_committed consumer sees it."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from tests.clients import aiokafka
from tests.eventually import READY_SECONDS, eventually
from tocsin.events import DeadLetter, JobEvent, LogLine, QueueSnapshot, SchedulerSnapshot, SourceSnapshot, decode
from tocsin.topics import Topics

KINDS: dict[str, type[msgspec.Struct]] = {
    "jobs": JobEvent,
    "logs": LogLine,
    "queues": QueueSnapshot,
    "schedulers": SchedulerSnapshot,
    "sources": SourceSnapshot,
    "deadletter": DeadLetter,
}


@dataclass
class Records:
    """What was committed so far: each list in its partition's order.

    raw: (topic, key, value) of everything. headers: the values of everything's headers.
    """

    jobs: list[JobEvent] = field(default_factory=list[JobEvent])
    logs: list[LogLine] = field(default_factory=list[LogLine])
    queues: list[QueueSnapshot] = field(default_factory=list[QueueSnapshot])
    schedulers: list[SchedulerSnapshot] = field(default_factory=list[SchedulerSnapshot])
    sources: list[SourceSnapshot] = field(default_factory=list[SourceSnapshot])
    deadletter: list[DeadLetter] = field(default_factory=list[DeadLetter])
    cursors: dict[str, bytes | None] = field(default_factory=dict[str, bytes | None])
    raw: list[tuple[str, bytes, bytes]] = field(default_factory=list[tuple[str, bytes, bytes]])
    headers: list[bytes] = field(default_factory=list[bytes])

    def of_queue(self, queue: str) -> list[JobEvent]:
        """The queue's events, in the order of its partition."""
        return [event for event in self.jobs if event.queue == queue]

    def of_jobs(self) -> dict[tuple[str, str], list[JobEvent]]:
        """Events by (queue, job id), in order."""
        found: dict[tuple[str, str], list[JobEvent]] = defaultdict(list)
        for event in self.jobs:
            if event.job_id:
                found[event.queue, event.job_id].append(event)
        return found

    def newest(self, queue: str) -> QueueSnapshot | None:
        """The queue's last snapshot."""
        return next((snapshot for snapshot in reversed(self.queues) if snapshot.queue == queue), None)

    def source(self) -> SourceSnapshot | None:
        """The last snapshot of a source."""
        return self.sources[-1] if self.sources else None

    def scheduler(self, scheduler: str) -> SchedulerSnapshot | None:
        """The scheduler's last snapshot."""
        return next((one for one in reversed(self.schedulers) if one.scheduler == scheduler), None)


class KafkaReader:
    """Goes on reading where the last call ended; `all` holds everything since the topics began."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._topics = Topics(prefix)
        self._consumer: Any = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
        )
        self._names = {spec.name for spec in self._topics.specs()}
        self.all = Records()

    async def __aenter__(self) -> "KafkaReader":
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self) -> Records:
        """Read up to the present end of every partition that exists; return everything so far."""
        await self._follow_new_partitions()
        ends: dict[Any, int] = await self._consumer.end_offsets(list(self._consumer.assignment()))
        async with asyncio.timeout(READY_SECONDS):
            while [place for place, end in ends.items() if await self._consumer.position(place) < end]:
                for place, records in (await self._consumer.getmany(timeout_ms=100)).items():
                    for record in records:
                        self._keep(place.topic, record.key or b"", record.value)
                        self.all.headers += [value for _, value in record.headers]
        return self.all

    async def _follow_new_partitions(self) -> None:
        cluster = await self._cluster()
        places = {
            aiokafka.TopicPartition(name, partition)
            for name in self._names
            for partition in cluster.partitions_for_topic(name) or ()
        }
        if places != self._consumer.assignment():
            at = {place: await self._consumer.position(place) for place in self._consumer.assignment()}
            self._consumer.assign(list(places))
            for place, offset in at.items():
                self._consumer.seek(place, offset)

    async def _cluster(self) -> Any:
        """A node that was stopped answers at once, and names no broker while its controller has no sign of it yet."""
        found: list[Any] = []

        async def is_named() -> bool:
            try:
                found.append(await self._consumer._client.fetch_all_metadata())
            except KafkaError:
                return False
            return True

        await eventually(is_named, what="a Kafka that names a broker")
        return found[0]

    def _keep(self, topic: str, key: bytes, value: bytes | None) -> None:
        self.all.raw.append((topic, key, value or b""))
        kind = topic.removeprefix(self._topics.prefix)
        if topic == self._topics.cursors:
            self.all.cursors[key.decode()] = value
        elif kind in KINDS and value is not None:
            getattr(self.all, kind).append(decode(KINDS[kind], value))
