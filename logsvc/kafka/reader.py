"""Readers that belong to no group: each process sees all records."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer

from logsvc.ingest.batch import Record
from logsvc.kafka.calls import OutOfRange, answered, close, partition, poll, reach, survey
from logsvc.partitions import Place
from logsvc.settings import LogsvcSettings
from tocsin.kafka import client_options

REPLAY_RECORDS = 500
REPLAY_BYTES = 256 * 1024
"""Of one partition at once: several viewers may be reading again."""


class Reader:
    """Reads every partition of some topics, belonging to no group: each process sees all records.

    from_start: begin at the oldest record kept, else at the end as of now. resume: begin there instead, if Kafka still
    holds all of it. newest: of these topics, from_start means so many offsets before the end.
    """

    def __init__(
        self,
        settings: LogsvcSettings,
        name: str,
        topics: Sequence[str],
        *,
        from_start: bool,
        resume: Mapping[Place, int] | None = None,
        newest: Mapping[str, int] | None = None,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._from_start = from_start
        self._newest = newest or {}
        self._resume = resume or {}
        self._consumer = AIOKafkaConsumer(
            **client_options(settings, f"logsvc-{name}"),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=settings.fetch_wait_ms,
        )
        self.start: dict[Place, int] = {}
        """Where reading began."""
        self.begin: dict[Place, int] = {}
        self.end: dict[Place, int] = {}
        """What Kafka held of the partitions when reading began; end is not included."""
        self.is_resumed = False
        self.cluster_id = "unknown"

    async def __aenter__(self) -> "Reader":
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _begin(self) -> None:
        self.cluster_id, places = await survey(self._settings, self._topics)
        await reach(self._consumer.start())
        keys = [partition(place) for place in places]
        begin: Mapping[Any, int] = await reach(self._consumer.beginning_offsets(keys))
        end: Mapping[Any, int] = await reach(self._consumer.end_offsets(keys))
        self.end = {place: end[partition(place)] for place in places}
        self.begin = {place: begin[partition(place)] for place in places}
        self.start = {place: self._oldest(place) for place in places} if self._from_start else dict(self.end)
        if self._resume and all(
            begin[partition(place)] <= self._resume.get(place, -1) <= self.end[place] for place in places
        ):
            self.start = {place: self._resume[place] for place in places}
            self.is_resumed = True
        self._consumer.assign(keys)
        for place, offset in self.start.items():
            self._consumer.seek(partition(place), offset)

    def _oldest(self, place: Place) -> int:
        newest = self._newest.get(place.topic)
        return self.begin[place] if newest is None else max(self.begin[place], self.end[place] - newest)

    async def __aexit__(self, *_: object) -> None:
        await close(self._consumer.stop())

    async def poll(self) -> dict[Place, Sequence[Record]]:
        """Return what has arrived; waits up to POLL_MS for the first record."""
        return await poll(self._consumer)

    async def positions(self) -> dict[Place, int]:
        """Offset after the last one passed, of every partition."""
        return {place: int(await self._consumer.position(partition(place))) for place in self.start}

    def heard_at(self) -> int | None:
        """Up to when Kafka told us everything, ms: the oldest of the partitions' latest answers; None = not known."""
        return min(answered(self._consumer, [partition(place) for place in self.start]), default=None)


class Replay:
    """Reads some partitions again from given offsets on, belonging to no group: what a viewer missed."""

    def __init__(self, settings: LogsvcSettings, start: Mapping[Place, int]) -> None:
        self._start = start
        self._consumer = AIOKafkaConsumer(
            **client_options(settings, "logsvc-replay"),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=settings.fetch_wait_ms,
            max_partition_fetch_bytes=REPLAY_BYTES,
        )

    async def open(self) -> None:
        """Connect. Raises OutOfRange if Kafka no longer holds all of it, KafkaDown if it does not answer."""
        keys = [partition(place) for place in self._start]
        await reach(self._consumer.start())
        begin: Mapping[Any, int] = await reach(self._consumer.beginning_offsets(keys))
        if gone := [place for place, offset in self._start.items() if offset < begin[partition(place)]]:
            raise OutOfRange(gone)
        self._consumer.assign(keys)
        for place, offset in self._start.items():
            self._consumer.seek(partition(place), offset)

    async def close(self) -> None:
        """Disconnect."""
        await close(self._consumer.stop())

    async def poll(self) -> dict[Place, Sequence[Record]]:
        """Return what has arrived; waits up to POLL_MS for the first record."""
        return await poll(self._consumer, REPLAY_RECORDS)

    async def positions(self) -> dict[Place, int]:
        """Offset after the last one passed, of every partition."""
        return {place: int(await self._consumer.position(partition(place))) for place in self._start}
