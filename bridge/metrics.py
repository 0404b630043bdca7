"""Every metric of the bridge, on a registry passed in."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tocsin.events import SourceSnapshot

STATES = ("waiting", "active", "delayed", "prioritized", "waiting_children", "completed", "failed")
"""What `bridge_queue_jobs` counts, by the names of a snapshot's fields."""


EVENTS = ("added", "waiting", "delayed", "waiting-children", "stalled", "completed", "failed")
"""BullMQ's words for what is counted as `bridge_jobs_<word>_total`."""

SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 1200, 3600)


REDIS = {
    "memory_bytes": ("memory_bytes", "Memory that Redis uses"),
    "max_memory_bytes": ("memory_max_bytes", "Memory that Redis may use; 0 = no bound"),
    "clients": ("clients", "Clients connected to Redis"),
    "max_clients": ("clients_max", "Clients that may connect"),
    "blocked_clients": ("clients_blocked", "Clients in a blocking call, idle workers among them"),
    "commands_per_second": ("commands_per_second", "Commands that Redis runs, by its own count"),
    "is_loading": ("loading", "1 while Redis loads its data"),
    "is_rdb_ok": ("rdb_ok", "1 if the last save to disk succeeded"),
    "is_aof_ok": ("aof_ok", "1 if the last write to the append-only file succeeded"),
}
"""Field of a source's snapshot -> `bridge_redis_<name>`, and what it says."""


@dataclass(frozen=True, slots=True)
class QueueCounters:
    """What is counted of one queue, looked up once. by_event: by BullMQ's word.

    What is committed after its queue was let go is counted here too, where nobody sees it: looked up then, it would be
    there again, for good.
    """

    by_event: Mapping[str, Counter]
    retried: Counter
    relayed: Counter
    lost: Counter
    rebuilt: Counter
    unenriched: Counter
    reconciled: Counter
    dead_letters: Counter


@dataclass(frozen=True, slots=True)
class QueueTimes:
    """Durations of one queue's jobs. They are many lines each: a queue without jobs has none."""

    wait: Histogram
    run: Histogram
    total: Histogram


class Metrics:
    """Labels come from closed sets: sources from settings, queues from discovery; never ids or texts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        queue = ["source", "queue"]
        self.waiting: dict[tuple[str, str], Callable[[], float | None]] = {}
        """By source and queue: how long what waits longest has waited, seconds."""
        self.partitions_owned = Gauge("bridge_partitions_owned", "Partitions this replica relays", registry=registry)
        self.queues_watched = Gauge("bridge_queues_watched", "Queues found at a source", ["source"], registry=registry)
        self.events_relayed = Counter(
            "bridge_events_relayed_total", "Events of streams committed", queue, registry=registry
        )
        self.events_lost = Counter(
            "bridge_events_lost_total", "Entries trimmed before they were read", queue, registry=registry
        )
        self.events_rebuilt = Counter(
            "bridge_events_rebuilt_total",
            "Events rebuilt from jobs' hashes after a gap",
            queue,
            registry=registry,
        )
        self.jobs_reconciled = Counter(
            "bridge_jobs_reconciled_total",
            "Jobs found to be elsewhere than was told, or no more, without an event",
            queue,
            registry=registry,
        )
        self.events_unenriched = Counter(
            "bridge_events_unenriched_total",
            "Events whose job's hash was gone, or was read too late to tell all",
            queue,
            registry=registry,
        )
        self.dead_letters = Counter("bridge_dead_letters_total", "Entries that are no event", queue, registry=registry)
        self.queues_refused = Gauge(
            "bridge_queues_refused",
            "Queues whose keys Redis refuses (another type, or forbidden), or whose entries are too big to arrive",
            ["source"],
            registry=registry,
        )
        self.queues_unnamed = Gauge(
            "bridge_queues_unnamed",
            "Queues left out because their name is no text, or endless",
            ["source"],
            registry=registry,
        )
        self.losses_uncounted = Gauge(
            "bridge_losses_uncounted",
            "1 where Redis does not count entries (before 7): trimmed ones are not seen",
            ["source"],
            registry=registry,
        )
        self.relay_lag = Gauge(
            "bridge_relay_lag_seconds",
            "Age of the event that waits longest to be read and committed; none waits: of the last one when committed",
            queue,
            registry=registry,
        )
        self.trim_window_left = Gauge(
            "bridge_trim_window_left_ratio",
            "Events that may still be added before unread ones are trimmed, of all kept: 1 = all read, 0 = losing",
            queue,
            registry=registry,
        )
        self.trim_window_seconds = Gauge(
            "bridge_trim_window_seconds",
            "How long the events that BullMQ keeps last at the rate of the last minute",
            queue,
            registry=registry,
        )
        self.commits = Counter("bridge_commits_total", "Kafka transactions committed", registry=registry)
        self.commit_seconds = Histogram(
            "bridge_commit_duration_seconds", "From first record sent to commit answered", registry=registry
        )
        self.restarts = Counter(
            "bridge_partition_restarts_total", "Times a partition was begun afresh after a failure", registry=registry
        )
        self.source_errors = Counter(
            "bridge_source_errors_total", "Failed reads of a source", ["source"], registry=registry
        )
        self.snapshots_refused = Counter(
            "bridge_snapshots_refused_total",
            "Counts that Redis refused: a key of another type",
            ["source"],
            registry=registry,
        )
        self.queue_jobs = Gauge("bridge_queue_jobs", "Jobs by state", [*queue, "state"], registry=registry)
        self.queue_paused = Gauge("bridge_queue_paused", "1 while the queue is paused", queue, registry=registry)
        self.queue_workers = Gauge("bridge_queue_workers", "Workers connected, when known", queue, registry=registry)
        self.oldest_waiting = Gauge(
            "bridge_queue_oldest_waiting_seconds",
            "How long the job has waited, since it was ready, that has waited longest; 0: none waits",
            queue,
            registry=registry,
        )
        self.actions = Counter(
            "bridge_actions_total", "Requests for actions on jobs and queues", ["action", "outcome"], registry=registry
        )
        self.action_jobs = Counter(
            "bridge_action_jobs_total", "Jobs that actions were about", ["action", "outcome"], registry=registry
        )
        self.action_seconds = Histogram(
            "bridge_action_duration_seconds", "From request to answer", ["action"], registry=registry
        )

        self.queue_overdue = Gauge(
            "bridge_queue_overdue_jobs", "Delayed jobs that were due more than 5 s ago", queue, registry=registry
        )
        self.longest_active = Gauge(
            "bridge_queue_longest_active_seconds", "How long the longest job has run", queue, registry=registry
        )
        self.lock_lost = Gauge(
            "bridge_queue_longest_active_unlocked",
            "1 while the job that runs longest has no lock: its worker is dead or stuck",
            queue,
            registry=registry,
        )
        self.rate_limited = Gauge(
            "bridge_queue_rate_limited", "1 while workers may begin no more jobs, when known", queue, registry=registry
        )
        self.by_event = {word: _jobs_counter(word, queue, registry) for word in EVENTS}
        self.jobs_retried = Counter(
            "bridge_jobs_retried_total",
            "Attempts that failed and will be followed by another",
            queue,
            registry=registry,
        )
        self.wait_seconds = Histogram(
            "bridge_job_wait_seconds", "From waiting to active", queue, buckets=SECONDS, registry=registry
        )
        self.run_seconds = Histogram(
            "bridge_job_run_seconds", "From active to the attempt's end", queue, buckets=SECONDS, registry=registry
        )
        self.total_seconds = Histogram(
            "bridge_job_total_seconds", "From added to completed", queue, buckets=SECONDS, registry=registry
        )

        self.schedulers = Gauge("bridge_schedulers", "Job schedulers of a queue", queue, registry=registry)
        self.schedulers_overdue = Gauge(
            "bridge_schedulers_overdue", "Schedulers whose next run is more than 5 s past", queue, registry=registry
        )
        self.redis_up = Gauge("bridge_redis_up", "1 while Redis answers", ["source"], registry=registry)
        self.redis_ping = Gauge(
            "bridge_redis_ping_seconds", "Round trip to Redis, median of a few", ["source"], registry=registry
        )
        self.redis_may_evict = Gauge(
            "bridge_redis_may_evict", "1 under a maxmemory-policy other than noeviction", ["source"], registry=registry
        )
        self.redis_saved = Gauge(
            "bridge_redis_rdb_saved_timestamp_seconds", "When Redis last saved to disk", ["source"], registry=registry
        )
        self.redis_evicted = Counter(
            "bridge_redis_evicted_keys_total", "Keys Redis threw away while watched", ["source"], registry=registry
        )
        self._of_queue = (
            *(self.events_relayed, self.events_lost, self.events_rebuilt, self.events_unenriched),
            *(self.jobs_reconciled, self.dead_letters, self.jobs_retried, *self.by_event.values()),
        )
        self._times_of_queue = (self.wait_seconds, self.run_seconds, self.total_seconds)
        self.redis = {
            field: Gauge(f"bridge_redis_{name}", text, ["source"], registry=registry)
            for field, (name, text) in REDIS.items()
        }

    def longest_wait(self) -> float | None:
        """How long an event of this replica's queues has waited at most, seconds; 0 = none waits, None = no queues."""
        return max((wait() or 0.0 for wait in self.waiting.values()), default=None)

    def counters_of(self, source: str, queue: str) -> QueueCounters:
        """The counters of one queue, from 0 on: who watches a rate must see the first step."""
        labels = (source, queue)
        return QueueCounters(
            by_event={word: counter.labels(*labels) for word, counter in self.by_event.items()},
            retried=self.jobs_retried.labels(*labels),
            relayed=self.events_relayed.labels(*labels),
            lost=self.events_lost.labels(*labels),
            rebuilt=self.events_rebuilt.labels(*labels),
            unenriched=self.events_unenriched.labels(*labels),
            reconciled=self.jobs_reconciled.labels(*labels),
            dead_letters=self.dead_letters.labels(*labels),
        )

    def begin_source(self, source: str) -> None:
        """Count from 0 what may happen to a source."""
        for counter in (self.source_errors, self.snapshots_refused, self.redis_evicted):
            counter.labels(source)

    def times_of(self, source: str, queue: str) -> QueueTimes:
        """The durations of one queue."""
        labels = (source, queue)
        return QueueTimes(
            self.wait_seconds.labels(*labels), self.run_seconds.labels(*labels), self.total_seconds.labels(*labels)
        )

    def forget(self, source: str, queue: str) -> None:
        """Say no more of a queue than what was counted: another replica measures it now."""
        self.waiting.pop((source, queue), None)
        for state in STATES:
            _remove(self.queue_jobs, source, queue, state)
        for gauge in (
            *(self.queue_paused, self.queue_workers, self.oldest_waiting, self.relay_lag, self.queue_overdue),
            *(self.longest_active, self.lock_lost, self.rate_limited),
            *(self.trim_window_left, self.trim_window_seconds),
        ):
            _remove(gauge, source, queue)

    def drop(self, source: str, queue: str) -> None:
        """Say nothing more of a queue that is gone, or one a tenant would be too many in time."""
        self.forget(source, queue)
        self.forget_schedulers(source, queue)
        for counted in (*self._of_queue, *self._times_of_queue):
            _remove(counted, source, queue)

    def forget_schedulers(self, source: str, queue: str) -> None:
        """Say no more of a queue's schedulers: there are none, or another replica measures them."""
        _remove(self.schedulers, source, queue)
        _remove(self.schedulers_overdue, source, queue)

    def tell_source(self, snapshot: SourceSnapshot, evicted: int) -> None:
        """Say how a source's Redis is. evicted: keys thrown away since the last time."""
        source = snapshot.source
        self.redis_up.labels(source).set(snapshot.is_reachable)
        self.redis_evicted.labels(source).inc(evicted)
        self.tell(self.redis_ping, None if snapshot.ping_ms is None else snapshot.ping_ms / 1000, source)
        self.tell(self.redis_may_evict, snapshot.policy != "noeviction" if snapshot.policy else None, source)
        saved = snapshot.rdb_saved_at
        self.tell(self.redis_saved, None if saved is None else saved / 1000, source)
        for field, gauge in self.redis.items():
            self.tell(gauge, getattr(snapshot, field), source)

    def forget_source(self, source: str) -> None:
        """Another replica looks at this source's Redis."""
        for gauge in (
            *(self.redis_up, self.redis_ping, self.redis_may_evict, self.redis_saved),
            *self.redis.values(),
        ):
            _remove(gauge, source)

    def tell(self, gauge: Gauge, value: float | None, *labels: str) -> None:
        """Set a gauge; None = nobody knows: no number is better than an old one."""
        if value is None:
            _remove(gauge, *labels)
        else:
            gauge.labels(*labels).set(value)


def _remove(metric: Gauge | Counter | Histogram, *labels: str) -> None:
    with suppress(KeyError):
        metric.remove(*labels)


def _jobs_counter(word: str, labels: list[str], registry: CollectorRegistry) -> Counter:
    name = f"bridge_jobs_{word.replace('-', '_')}_total"
    return Counter(name, f"Events `{word}` of jobs, without backfill", labels, registry=registry)
