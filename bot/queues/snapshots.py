"""The queues as the bot last saw them itself, from the compacted topic: its answer when history is out of reach."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from bot.kafka import KafkaError, KafkaRecord, TableFeed
from tocsin.events import BadRecord, QueueSnapshot, SourceSnapshot, decode
from tocsin.lifecycle import pause

log = structlog.get_logger("snapshots")

READ_SECONDS = 0.5
RETRY_SECONDS = 1.0
BATCH_RECORDS = 5000


QUIET_SECONDS = 120.0
"""A source without a snapshot for so long is not watched: the bridge tells of each queue once a minute at least."""


@dataclass(frozen=True)
class Heard:
    """A source heard without a pause, by the monotonic clock: the first and the last time."""

    first: float
    last: float


class Followed(Protocol):
    """What is kept up to date from a compacted topic."""

    clock: Callable[[], float]
    has_caught_up: bool
    read_at: float | None

    def take(self, record: KafkaRecord, *, is_live: bool = False) -> None: ...


@dataclass
class Snapshots:
    """Newest snapshot of every queue. news_at: monotonic time of the last queue that was new to us.

    skew_ms: source -> how far its Redis' clock is behind Kafka's, by the newest snapshot: when it was written less
    when it was taken.
    """

    clock: Callable[[], float] = time.monotonic
    has_caught_up: bool = False
    read_at: float | None = None
    news_at: float | None = None
    skew_ms: dict[str, int] = field(default_factory=dict[str, int])
    _newest: dict[tuple[str, str], QueueSnapshot] = field(default_factory=dict[tuple[str, str], QueueSnapshot])
    _heard: dict[str, Heard] = field(default_factory=dict[str, Heard])

    def take(self, record: KafkaRecord, *, is_live: bool = False) -> None:
        """Keep a record; a tombstone removes its queue. A bad one is logged and left out.

        is_live: it was not there yet when reading began, so its source is being watched now.
        """
        source, _, queue = record.key.decode(errors="replace").partition(":")
        if record.value is None:
            self._newest.pop((source, queue), None)
            return
        try:
            snapshot = decode(QueueSnapshot, record.value)
        except BadRecord as bad:
            log.error("bad_snapshot", offset=record.offset, partition=record.partition, reason=str(bad)[:200])
            return
        place = (snapshot.source, snapshot.queue)
        if place not in self._newest:
            self.news_at = self.clock()
        self._newest[place] = snapshot
        if record.ts > 0:
            self.skew_ms[snapshot.source] = record.ts - snapshot.ts
        if is_live:
            self._hear(snapshot.source)

    def hear_of(self, source: SourceSnapshot) -> None:
        """A source that has no queue any more is watched as well, or nothing of it would ever end by being quiet."""
        if self.has_caught_up and source.is_reachable and all(source.source != one for one, _ in self._newest):
            self._hear(source.source)

    def _hear(self, source: str) -> None:
        now = self.clock()
        known = self._heard.get(source)
        is_on = known is not None and now - known.last <= QUIET_SECONDS
        self._heard[source] = Heard(known.first if known is not None and is_on else now, now)

    def watched(self, seconds: float) -> list[str]:
        """The sources heard without a pause for so long until now, by when we ourselves received their snapshots."""
        now = self.clock()
        return [
            source
            for source, heard in self._heard.items()
            if now - heard.last <= QUIET_SECONDS and now - heard.first >= seconds
        ]

    def all(self) -> list[QueueSnapshot]:
        """Every queue, in no order."""
        return list(self._newest.values())

    def by_place(self) -> dict[tuple[str, str], QueueSnapshot]:
        """Every queue by source and name."""
        return dict(self._newest)

    def missing(self) -> int:
        """Queues that their sources had at their newest snapshot and that we have not seen yet."""
        seen: dict[str, int] = {}
        newest: dict[str, QueueSnapshot] = {}
        for snapshot in self._newest.values():
            seen[snapshot.source] = seen.get(snapshot.source, 0) + 1
            known = newest.get(snapshot.source)
            if known is None or snapshot.ts >= known.ts:
                newest[snapshot.source] = snapshot
        return sum(max(0, one.sources_queues - seen[source]) for source, one in newest.items())

    def newest_ms(self) -> int | None:
        """Time of the newest snapshot of all; it tells whether the bridge still polls."""
        return max((one.ts for one in self._newest.values()), default=None)


async def follow(
    topic_exists: Callable[[], Awaitable[bool]],
    open_feed: Callable[[], TableFeed],
    table: Followed,
    stop: asyncio.Event,
) -> None:
    """Keep a table up to date until stop; after trouble with Kafka, read the topic again from its start.

    Nothing is opened while the topic is not there: some brokers would create it for a reader, with the wrong number of
    partitions, and the bridge would refuse to start.
    """
    while not stop.is_set():
        try:
            if await topic_exists():
                await _follow_once(open_feed(), table, stop)
        except KafkaError as failure:
            log.warning("table_interrupted", error=f"{type(failure).__name__}: {failure}"[:200])
        await pause(stop, RETRY_SECONDS)


async def _follow_once(feed: TableFeed, table: Followed, stop: asyncio.Event) -> None:
    try:
        await feed.start()
        await _read(feed, table, stop)
    finally:
        await feed.stop()


async def _read(feed: TableFeed, table: Followed, stop: asyncio.Event) -> None:
    while not stop.is_set():
        is_live = await feed.has_caught_up()
        for record in await feed.read(wait_seconds=READ_SECONDS, most=BATCH_RECORDS):
            table.take(record, is_live=is_live)
        table.read_at = table.clock()
        table.has_caught_up = table.has_caught_up or await feed.has_caught_up()
