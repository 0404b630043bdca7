"""Every metric of the bridge, on a registry passed in."""

from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

STATES = ("waiting", "active", "delayed", "prioritized", "waiting_children", "completed", "failed")
"""What `bridge_queue_jobs` counts, by the names of a snapshot's fields."""


class Metrics:
    """Labels come from closed sets: sources from settings, queues from discovery; never ids or texts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        queue = ["source", "queue"]
        self.partitions_owned = Gauge("bridge_partitions_owned", "Partitions this replica relays", registry=registry)
        self.queues_watched = Gauge("bridge_queues_watched", "Queues found at a source", ["source"], registry=registry)
        self.events_relayed = Counter("bridge_events_relayed_total", "Events committed", queue, registry=registry)
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
            "bridge_events_unenriched_total", "Events whose job hash was gone", queue, registry=registry
        )
        self.dead_letters = Counter("bridge_dead_letters_total", "Entries that are no event", queue, registry=registry)
        self.queues_refused = Gauge(
            "bridge_queues_refused",
            "Queues whose keys Redis refuses: another type, or forbidden",
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
            "Age of the event that waits longest for its commit; none waits: of the last one when committed",
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
            "bridge_queue_oldest_waiting_seconds", "Age of the job next in line", queue, registry=registry
        )

    def forget(self, source: str, queue: str) -> None:
        """Say no more of a queue than what was counted: another replica measures it now."""
        for state in STATES:
            _remove(self.queue_jobs, source, queue, state)
        for gauge in (
            self.queue_paused,
            self.queue_workers,
            self.oldest_waiting,
            self.relay_lag,
            self.trim_window_left,
            self.trim_window_seconds,
        ):
            _remove(gauge, source, queue)

    def forget_workers(self, source: str, queue: str) -> None:
        """Nobody knows how many there are: no number is better than an old one."""
        _remove(self.queue_workers, source, queue)


def _remove(gauge: Gauge, *labels: str) -> None:
    with suppress(KeyError):
        gauge.remove(*labels)
