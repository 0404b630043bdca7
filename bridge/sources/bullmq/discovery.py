"""Which queues a source has: SCAN for `<prefix>:*:meta`, with a budget, never KEYS.

A scan counts only when it came to its end; a half one removes nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import cast

import structlog

from bridge.errors import SourceUnavailable
from bridge.metrics import Metrics
from bridge.settings import Source
from bridge.sources.bullmq.door import Command, Door, Link, accepted
from bridge.sources.bullmq.keys import queue_of_meta
from tocsin.lifecycle import pause

log = structlog.get_logger("bridge.discovery")

SCAN_COUNT = 1000
SCAN_PAUSE_SECONDS = 0.005
"""Between SCAN calls: 300,000 keys then cost Redis 300 short calls over two seconds."""

MAX_KEY_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Missed:
    """Two complete scans in a row that did not find a queue, by when they began: Redis's clock, ms."""

    first_ms: int
    second_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """One complete scan. begun_ms: Redis's clock before it; a queue absent from it was created later.

    earlier: the complete scan before it, with none before itself.
    """

    queues: frozenset[str]
    begun_ms: int
    earlier: "Found | None" = None

    def missed(self, queue: str) -> Missed | None:
        """The evidence that a queue is no more; None if this scan or the one before it found it, or there was none."""
        if self.earlier is None or queue in self.queues or queue in self.earlier.queues:
            return None
        return Missed(self.earlier.begun_ms, self.begun_ms)


class Discovery:
    """Keeps the newest complete scan of one source."""

    def __init__(self, source: Source, door: Door, metrics: Metrics, *, every_seconds: float) -> None:
        self.source = source
        self._door = door
        self._metrics = metrics
        self._every_seconds = every_seconds
        self._found: Found | None = None
        self._is_fresh = False
        self._is_unnamed_told = False
        self._changed = asyncio.Condition()

    @property
    def found(self) -> Found | None:
        """The newest complete scan; None until the first one."""
        return self._found

    @property
    def is_fresh(self) -> bool:
        """Whether the last scan came to its end."""
        return self._is_fresh

    async def run(self, stop: asyncio.Event) -> None:
        """Scan for ever; an unreachable source is tried again."""
        while not stop.is_set():
            try:
                await self._publish(await self.scan())
                self._is_fresh = True
            except SourceUnavailable as error:
                self._is_fresh = False
                self._metrics.source_errors.labels(self.source.name).inc()
                log.warning("source_unreachable", source=self.source.name, error=str(error))
            await pause(stop, self._every_seconds if self._found else 1.0)

    async def scan(self) -> Found:
        """Go once through the key space. Raises SourceUnavailable if it cannot be done to the end."""
        begun_ms = await self._door.read_clock()
        queues: set[str] = set()
        unnamed: set[bytes] = set()
        for part in await self._door.parts():
            async for keys in self._meta_keys(part):
                named = {key: name for key in keys if (name := _text(key)) is not None}
                unnamed |= {key[:MAX_KEY_BYTES] for key in keys if key not in named}
                queues |= {queue for name in named.values() if (queue := self._queue(name)) is not None}
        self._tell_unnamed(len(unnamed))
        return Found(frozenset(queues), begun_ms)

    async def _meta_keys(self, part: Link) -> AsyncIterator[list[bytes]]:
        """The keys of one process that are some queue's meta hash, page by page."""
        pattern = f"{_escape_glob(self.source.prefix)}:*:meta"
        cursor = b"0"
        while True:
            command: Command = ("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
            cursor, keys = cast(tuple[bytes, list[bytes]], accepted(command, (await part.ask([command]))[0]))
            yield keys
            if cursor == b"0":
                return
            await asyncio.sleep(SCAN_PAUSE_SECONDS)

    async def wait_for_change(self, known: Found | None, timeout: float) -> Found | None:
        """Return the newest scan as soon as its queues differ from `known`'s, or after timeout."""
        known_queues = known.queues if known else None

        def differs() -> bool:
            return self._found is not None and self._found.queues != known_queues

        async with self._changed:
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait_for(differs)
            except TimeoutError:
                return self._found
        return self._found

    def _tell_unnamed(self, count: int) -> None:
        self._metrics.queues_unnamed.labels(self.source.name).set(count)
        if count and not self._is_unnamed_told:
            self._is_unnamed_told = True
            log.warning("queues_left_out", source=self.source.name, count=count, reason="a name is no text, or endless")

    def _queue(self, key: str) -> str | None:
        """The queue of a meta key, if it is to be watched."""
        queue = queue_of_meta(self.source.prefix, key)
        return queue if queue is not None and self.source.watches(queue) else None

    async def _publish(self, found: Found) -> None:
        if self._found is None or found.queues != self._found.queues:
            log.info("queues_found", source=self.source.name, queues=len(found.queues))
        self._metrics.queues_watched.labels(self.source.name).set(len(found.queues))
        earlier = None if self._found is None else replace(self._found, earlier=None)
        async with self._changed:
            self._found = replace(found, earlier=earlier)
            self._changed.notify_all()


def _text(key: bytes) -> str | None:
    """A key as text; None if it is none, or endless: BullMQ makes no such name."""
    try:
        return key.decode() if len(key) <= MAX_KEY_BYTES else None
    except UnicodeDecodeError:
        return None


def _escape_glob(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in text)
