"""What is asked of a source again and again, for the queues of one partition, and told when it changes.

Counts of the queues, their schedulers, and by one partition's owner the Redis itself. What cannot be had is not told:
the age of what was told last says so.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence

import structlog

from bridge.errors import SourceUnavailable
from bridge.kafka import read_newest
from bridge.metrics import STATES, Metrics
from bridge.outbox import Outbox, Parcel
from bridge.partition.rounds import Rounds
from bridge.record import Record
from bridge.records import Records
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.memory import Memories
from bridge.sources.bullmq.snapshots.repeat import scheduler_gone
from bridge.sources.bullmq.snapshots.schedulers import Schedulers
from bridge.sources.bullmq.snapshots.server import Server
from bridge.sources.bullmq.snapshots.waiting import Waits
from bridge.sources.bullmq.source import BullmqSource
from bridge.sources.bullmq.tally import Tallies
from bridge.sources.bullmq.translate import Place
from tocsin.breakers import Guard
from tocsin.events import BadRecord, QueueSnapshot, SchedulerSnapshot, SourceSnapshot, decode
from tocsin.lifecycle import pause
from tocsin.topics import partition_of

log = structlog.get_logger("bridge.partition.polls")

SNAPSHOT_SECONDS = 30.0
"""What is polled is told when it changes, and this often although nothing did."""
FIRST_SECONDS = 0.2
"""While no queue is found: the first one's counts are wanted at once."""
RECORDS_A_GROUP = 500


class Polls:
    """The polls of one source in one partition.

    places, tallies, memories: by queue name; they come and go meanwhile. telling: held while counts are told; whoever
    lets a queue go holds it too.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        source: BullmqSource,
        partition: int,
        places: Mapping[str, Place],
        tallies: Tallies,
        memories: Memories,
        telling: asyncio.Lock,
        outbox: Outbox[Parcel],
        metrics: Metrics,
        guard: Guard,
    ) -> None:
        self._guard = guard
        self._settings = settings
        self._source = source
        self._name = source.source.name
        self._partition = partition
        self._places = places
        self._tallies = tallies
        self._waits = Waits(memories)
        self._telling = telling
        self._outbox = outbox
        self._metrics = metrics
        self._records = Records(settings.topics)
        self._published: dict[str, QueueSnapshot] = {}
        self._server = Server(source.door, source.source.env, self._name)
        self._told_source: SourceSnapshot | None = None
        self._silent: set[str] = set()
        self._rounds = Rounds(settings.bridge_poll_seconds, time.monotonic, random.Random())

    async def poll(self, end: asyncio.Event) -> None:
        """Ask and tell until `end`. Raises WriterLost if Kafka does not say which schedulers it holds."""
        schedulers = Schedulers(self._source.door, self._source.source.prefix, await self._told_schedulers())
        owns_source = partition_of(self._name, "", self._settings.kafka_partitions) == self._partition
        server_at = 0.0
        try:
            while not end.is_set():
                try:
                    await self._poll_queues(schedulers)
                except SourceUnavailable as error:
                    self._metrics.source_errors.labels(self._name).inc()
                    log.warning("poll_failed", source=self._name, error=str(error))
                if owns_source and time.monotonic() >= server_at:
                    server_at = time.monotonic() + self._settings.bridge_poll_seconds
                    await self._poll_server()
                await pause(end, self._settings.bridge_poll_seconds if self._places else FIRST_SECONDS)
        finally:
            for queue in schedulers.counts():
                self._metrics.forget_schedulers(self._name, queue)
            if owns_source:
                self._metrics.forget_source(self._name)

    async def _poll_queues(self, schedulers: Schedulers) -> None:
        """Ask for the counts and the schedulers of the queues whose turn it is.

        Queues that are no more, of which schedulers were told, have their turn too: for these alone. Each process is
        asked by itself, last if it was silent before. Raises SourceUnavailable if one is, once the others have told.
        """
        moved = {queue: tally.last_ts for queue in self._places if (tally := self._tallies.get(queue)) is not None}
        due = self._rounds.due({**dict.fromkeys(schedulers.queues, 0), **moved}, self._source.count_queues())
        away: SourceUnavailable | None = None
        silent, self._silent = self._silent, set()
        for some in sorted(self._source.by_shard(due), key=lambda queues: not silent.isdisjoint(queues)):
            try:
                await self._poll_counts([self._places[queue] for queue in some if queue in self._places])
                await self._poll_schedulers(schedulers, some)
            except SourceUnavailable as error:
                self._rounds.ask_again(some)
                self._silent.update(some)
                away = error
        if away is not None:
            raise away

    async def _poll_counts(self, places: Sequence[Place]) -> None:
        snapshots = await self._source.snapshots(places, self._waits) if places else []
        self._metrics.snapshots_refused.labels(self._name).inc(max(0, len(places) - len(snapshots)))
        async with self._telling:
            await self._tell([snapshot for snapshot in snapshots if snapshot.queue in self._places])

    async def _tell(self, snapshots: Sequence[QueueSnapshot]) -> None:
        for snapshot in snapshots:
            self._add_rates(snapshot)
            self._measure(snapshot)
        changed = [snapshot for snapshot in snapshots if self._is_news(snapshot)]
        await self._put([self._records.snapshot(snapshot) for snapshot in changed])
        self._published = {queue: last for queue, last in self._published.items() if queue in self._places}
        self._waits.keep_only(self._places)
        self._published.update({snapshot.queue: snapshot for snapshot in changed})

    def _add_rates(self, snapshot: QueueSnapshot) -> None:
        """What was relayed of a queue, which Redis cannot tell."""
        tally = self._tallies.get(snapshot.queue)
        if tally is None:
            return
        rates = tally.rates.per_minute()
        if rates is not None:
            snapshot.completed_per_minute, snapshot.failed_per_minute = rates
        snapshot.last_event_at = tally.last_ts or None

    async def _poll_schedulers(self, schedulers: Schedulers, queues: Sequence[str]) -> None:
        before = schedulers.counts()
        async for changes in schedulers.read(queues, dict(self._places)):
            await self._put([self._records.scheduler(one) for one in changes.told])
            for one in changes.gone:
                tally = self._tallies.get(one.queue)
                event = scheduler_gone(one, tally.epoch if tally is not None else 0, self._source.door.now_ms())
                await self._put([self._records.job(event), self._records.no_scheduler(one)])
        counts = schedulers.counts()
        for queue, (count, overdue) in counts.items():
            self._metrics.schedulers.labels(self._name, queue).set(count)
            self._metrics.schedulers_overdue.labels(self._name, queue).set(overdue)
        for queue in before.keys() - counts.keys():
            self._metrics.forget_schedulers(self._name, queue)

    async def _told_schedulers(self) -> list[SchedulerSnapshot]:
        """The schedulers of this source that Kafka holds, from whoever told them: they may be gone since."""
        found: list[SchedulerSnapshot] = []
        topic, head = self._settings.topics.schedulers, f"{self._name}:".encode()
        for key, value in (await read_newest(self._settings, topic, self._partition, self._guard)).items():
            if key.startswith(head):
                try:
                    found.append(decode(SchedulerSnapshot, value))
                except BadRecord as error:
                    log.error("scheduler_unreadable", key=key.decode(errors="replace"), error=str(error))
        return found

    async def _poll_server(self) -> None:
        queues = self._source.discovery.found
        snapshot, evicted = await self._server.look(len(queues.queues) if queues else None)
        self._metrics.tell_source(snapshot, self._server.warn(snapshot, evicted))
        last = self._told_source
        if last is None or _is_due(snapshot, last) or _kinds(snapshot) != _kinds(last):
            await self._put([self._records.source(snapshot)])
            self._told_source = snapshot

    async def _put(self, records: Sequence[Record]) -> None:
        for start in range(0, len(records), RECORDS_A_GROUP):
            await self._outbox.put(records[start : start + RECORDS_A_GROUP])

    def _is_news(self, snapshot: QueueSnapshot) -> bool:
        last = self._published.get(snapshot.queue)
        return last is None or _is_due(snapshot, last) or _counts(snapshot) != _counts(last)

    def _measure(self, snapshot: QueueSnapshot) -> None:
        metrics, labels = self._metrics, (snapshot.source, snapshot.queue)
        for state in STATES:
            metrics.queue_jobs.labels(*labels, state).set(getattr(snapshot, state))
        metrics.queue_paused.labels(*labels).set(snapshot.is_paused)
        is_unknown = snapshot.waiting + snapshot.prioritized > 0 and snapshot.oldest_waiting_seconds is None
        metrics.tell(metrics.oldest_waiting, None if is_unknown else snapshot.oldest_waiting_seconds or 0, *labels)
        is_unknown = snapshot.active > 0 and snapshot.longest_active_seconds is None
        metrics.tell(metrics.longest_active, None if is_unknown else snapshot.longest_active_seconds or 0, *labels)
        metrics.lock_lost.labels(*labels).set(snapshot.is_longest_active_locked is False)
        metrics.tell(metrics.queue_workers, snapshot.workers, *labels)
        metrics.tell(metrics.queue_overdue, snapshot.overdue, *labels)
        metrics.tell(metrics.rate_limited, snapshot.is_rate_limited, *labels)


def _is_due(new: QueueSnapshot | SourceSnapshot, last: QueueSnapshot | SourceSnapshot) -> bool:
    return new.ts - last.ts >= SNAPSHOT_SECONDS * 1000


def _counts(snapshot: QueueSnapshot) -> tuple[object, ...]:
    """What makes a queue's snapshot news: everything but its time, and what moves with it or with the counts."""
    return (
        snapshot.waiting,
        snapshot.active,
        snapshot.delayed,
        snapshot.prioritized,
        snapshot.waiting_children,
        snapshot.completed,
        snapshot.failed,
        snapshot.is_paused,
        snapshot.workers,
        snapshot.oldest_waiting_seconds is None,
        snapshot.max_len_events,
        snapshot.bullmq_version,
        snapshot.sources_queues,
        snapshot.overdue,
        snapshot.is_longest_active_locked,
        snapshot.is_rate_limited,
        snapshot.rate_limit_jobs,
        snapshot.rate_limit_ms,
        snapshot.concurrency,
        snapshot.completed_per_minute is None,
    )


def _kinds(snapshot: SourceSnapshot) -> tuple[object, ...]:
    """What makes a source's snapshot news: what is no measurement."""
    return (
        snapshot.is_reachable,
        snapshot.server,
        snapshot.role,
        snapshot.policy,
        snapshot.max_memory_bytes,
        snapshot.evicted_keys,
        snapshot.is_loading,
        snapshot.is_rdb_ok,
        snapshot.is_aof_on,
        snapshot.is_aof_ok,
    )
