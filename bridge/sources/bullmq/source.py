"""One configured source as the partitions use it: its queues, and the counts of those a partition owns."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog

from bridge.errors import SourceUnavailable
from bridge.metrics import Metrics
from bridge.settings import BridgeSettings, Source
from bridge.sources.bullmq.discovery import Discovery
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.door.guards import Guards
from bridge.sources.bullmq.door.opening import open_link
from bridge.sources.bullmq.door.pools import database
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.snapshots.queues import QUEUES_A_PIPELINE, read_snapshots
from bridge.sources.bullmq.snapshots.waiting import Waits
from bridge.sources.bullmq.snapshots.workers import Workers
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.turns import Turns
from tocsin.breakers import Breakers
from tocsin.events import QueueSnapshot
from tocsin.health import Health
from tocsin.lifecycle import pause

log = structlog.get_logger("bridge.source")


class BullmqSource:
    """Shared by every partition of this process; safe for concurrent use."""

    def __init__(
        self, source: Source, settings: BridgeSettings, metrics: Metrics, health: Health, breakers: Breakers
    ) -> None:
        self.source = source
        self.door = Door(open_link(source, Guards(source.name, breakers)), source=source.name)
        every_seconds, partitions = settings.bridge_discovery_seconds, settings.kafka_partitions
        self.discovery = Discovery(source, self.door, metrics, every_seconds=every_seconds, partitions=partitions)
        self._look_every = every_seconds
        self.turns = Turns()
        self._workers = Workers(source.prefix, database(source))
        self._workers_read = 0.0
        self._workers_every = settings.bridge_poll_seconds
        self._asking = asyncio.Lock()
        self._health = health
        self._metrics = metrics
        self._is_uncounted = False
        metrics.begin_source(source.name)

    @property
    def need(self) -> str:
        """This source's name in the health report."""
        return f"redis:{self.source.name}"

    async def run(self, stop: asyncio.Event) -> None:
        """Look for queues, and after the Redis itself, until stop is set (a part of the service)."""
        if self.source.tls is not None and not self.source.tls.check_hostname:
            log.warning("tls_hostname_unchecked", source=self.source.name, mend="leave check_hostname out")
        parts = [
            asyncio.create_task(part(stop), name=f"{name}-{self.source.name}")
            for name, part in (("discovery", self.discovery.run), ("look-around", self._look_around))
        ]
        try:
            while not any(part.done() for part in parts) and not await pause(stop, 1.0):
                if self.discovery.is_fresh:
                    self._health.ok(self.need)
            for part in parts:
                if part.done():
                    part.result()
        finally:
            for part in parts:
                part.cancel()  # a scan of a big key space takes minutes
            await asyncio.gather(*parts, return_exceptions=True)

    async def _look_around(self, stop: asyncio.Event) -> None:
        """Ask again and again who is the primary, for its clock, and who works there: a scan may take minutes."""
        while not await pause(stop, self._look_every):
            with suppress(SourceUnavailable):  # whoever reads tells
                await self.door.read_clock()
            await self._read_workers()

    async def snapshots(self, places: Sequence[Place], waits: Waits) -> list[QueueSnapshot]:
        """The counts of these queues now. waits: of their partition. Raises SourceUnavailable."""
        await self._read_workers()
        known, made = self.count_queues(), list[QueueSnapshot]()
        for start in range(0, len(places), QUEUES_A_PIPELINE):
            some = places[start : start + QUEUES_A_PIPELINE]
            made += await read_snapshots(self.door, self.source.prefix, some, self._workers, waits, known)
        return made

    async def _read_workers(self) -> None:
        """Ask for them anew when it is time; who comes meanwhile waits for the same answer, however long it took.

        A queue that somebody works on is met so, long before SCAN finds it.
        """
        async with self._asking:
            if time.monotonic() - self._workers_read >= self._workers_every * 0.9:
                await self._workers.read(self.door)
                self._workers_read = time.monotonic()
                self.discovery.expect_new(self._workers.mentioned)

    def by_shard(self, queues: Iterable[str]) -> list[list[str]]:
        """Queues that may be away together, each with the others of its process."""
        found: dict[str, list[str]] = {}
        for queue in queues:
            found.setdefault(self.shard(queue), []).append(queue)
        return list(found.values())

    def shard(self, queue: str) -> str:
        """What is the same for queues of one process: see Door.shard."""
        return self.door.shard(Keys(self.source.prefix, queue).events)

    def count_queues(self) -> int:
        """How many there are, as far as is known."""
        return self.discovery.count

    def tell_uncounted(self) -> None:
        """Its Redis does not count the entries of a stream: what is trimmed unread is not seen. Said once."""
        if not self._is_uncounted:
            self._is_uncounted = True
            self._metrics.losses_uncounted.labels(self.source.name).set(1)
            log.error("losses_not_counted", source=self.source.name, mend="it takes Redis 7 or Valkey")

    async def close(self) -> None:
        """Close every connection to this Redis."""
        await self.door.close()
