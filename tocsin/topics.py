"""The Kafka topics of the contract: names, keys' partition, and how each is kept."""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tocsin.times import DAY_MS, HOUR_MS

COMPACT = {
    "cleanup.policy": "compact",
    "segment.ms": str(10 * 60 * 1000),
    "segment.bytes": str(16 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.1",
}
CURSORS = {**COMPACT, "delete.retention.ms": str(10 * 60 * 1000)}
"""Every job with a log leaves a tombstone, which every restore must read while it is kept; a restore takes seconds."""
DEAD_LETTER_DAYS = 30
"""So long Kafka keeps a dead letter."""
COMPACT_AND_DELETE = {**COMPACT, "cleanup.policy": "compact,delete", "retention.ms": str(7 * DAY_MS)}


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it must exist. partitions None = as many as the bridge's partition count (KAFKA_PARTITIONS).

    others: services that use it besides bridge. is_bridges: bridge uses it too, else it only creates it, if it may.
    What a service does not use it need not see.
    """

    name: str
    configs: Mapping[str, str]
    partitions: int | None = None
    others: frozenset[str] = frozenset()
    is_bridges: bool = True

    def wanted(self, bridge_partitions: int) -> int:
        """How many partitions it is created with."""
        return self.partitions or bridge_partitions

    def fits(self, found: int, bridge_partitions: int) -> bool:
        """Whether a topic that has `found` partitions will do. Where no order hangs on the number more do no harm."""
        return found == bridge_partitions if self.partitions is None else found >= self.partitions


@dataclass(frozen=True)
class Topics:
    """Names under one prefix (`KAFKA_TOPIC_PREFIX`, default `tocsin.`); groups and transactional ids carry it too."""

    prefix: str = "tocsin."

    @property
    def jobs(self) -> str:
        return f"{self.prefix}jobs"

    @property
    def logs(self) -> str:
        return f"{self.prefix}logs"

    @property
    def queues(self) -> str:
        return f"{self.prefix}queues"

    @property
    def schedulers(self) -> str:
        return f"{self.prefix}schedulers"

    @property
    def sources(self) -> str:
        return f"{self.prefix}sources"

    @property
    def cursors(self) -> str:
        return f"{self.prefix}cursors"

    @property
    def deadletter(self) -> str:
        return f"{self.prefix}deadletter"

    @property
    def actions(self) -> str:
        return f"{self.prefix}actions"

    @property
    def probes(self) -> str:
        return f"{self.prefix}probes"

    def specs(self) -> list[TopicSpec]:
        """Every topic with its settings, in the order of docs/architecture.md."""
        logsvc, both = frozenset({"logsvc"}), frozenset({"logsvc", "bot"})
        return [
            TopicSpec(self.jobs, {"retention.ms": str(7 * DAY_MS)}, others=both),
            TopicSpec(self.logs, {"retention.ms": str(7 * DAY_MS)}, others=both),
            TopicSpec(self.queues, COMPACT_AND_DELETE, others=both),
            TopicSpec(self.schedulers, COMPACT_AND_DELETE, others=both),
            TopicSpec(self.sources, COMPACT_AND_DELETE, partitions=1, others=both),
            TopicSpec(self.cursors, CURSORS),
            TopicSpec(self.deadletter, {"retention.ms": str(DEAD_LETTER_DAYS * DAY_MS)}, partitions=1, others=logsvc),
            # Never compacted: which of two records came first decides who acts.
            TopicSpec(self.actions, {"retention.ms": str(7 * DAY_MS)}, partitions=1),
            TopicSpec(
                self.probes,
                {"retention.ms": str(HOUR_MS)},
                partitions=1,
                others=frozenset({"bot"}),
                is_bridges=False,
            ),
        ]

    def used_by(self, services: Collection[str]) -> list[TopicSpec]:
        """The topics that one of these services uses, in the same order."""

        def is_used(spec: TopicSpec) -> bool:
            return ("bridge" in services and spec.is_bridges) or not spec.others.isdisjoint(services)

        return [spec for spec in self.specs() if is_used(spec)]


def queue_key(source: str, queue: str) -> str:
    """The record key of a queue. Neither part holds ':' (BullMQ forbids it in queues, settings in sources)."""
    return f"{source}:{queue}"


def partition_of(source: str, queue: str, partitions: int) -> int:
    """The partition that holds everything about a queue: total order per queue, same in every service and release."""
    return zlib.crc32(queue_key(source, queue).encode()) % partitions
