"""Topics, their keeping, and the partition of a queue: scripts, dashboards and old data rely on all three."""

from dataclasses import replace

import pytest

from tocsin.topics import Topics, TopicSpec, partition_of, queue_key

WEEK = str(7 * 24 * 3600 * 1000)
MONTH = str(30 * 24 * 3600 * 1000)
COMPACTED = {"segment.ms": "600000", "segment.bytes": "16777216", "min.cleanable.dirty.ratio": "0.1"}

# The table of docs/architecture.md (section 3 of the design): name, partitions (None: the bridge's), how it is kept.
TABLE = {
    "tocsin.jobs": (None, {"retention.ms": WEEK}),
    "tocsin.logs": (None, {"retention.ms": WEEK}),
    "tocsin.queues": (None, {"cleanup.policy": "compact,delete", "retention.ms": WEEK} | COMPACTED),
    "tocsin.schedulers": (None, {"cleanup.policy": "compact,delete", "retention.ms": WEEK} | COMPACTED),
    "tocsin.sources": (1, {"cleanup.policy": "compact,delete", "retention.ms": WEEK} | COMPACTED),
    "tocsin.cursors": (None, {"cleanup.policy": "compact", "delete.retention.ms": "600000"} | COMPACTED),
    "tocsin.deadletter": (1, {"retention.ms": MONTH}),
    "tocsin.actions": (1, {"retention.ms": WEEK}),
    "tocsin.probes": (1, {"retention.ms": "3600000"}),
}


def test_topics_are_those_of_the_contract() -> None:
    found = {spec.name: (spec.partitions, dict(spec.configs)) for spec in Topics().specs()}
    assert found == TABLE


@pytest.mark.parametrize("prefix", ["", "team-a.", "x_"])
def test_the_prefix_is_all_that_changes(prefix: str) -> None:
    def bare(specs: list[TopicSpec], start: str) -> list[TopicSpec]:
        assert all(spec.name.startswith(start) for spec in specs)
        return [replace(spec, name=spec.name.removeprefix(start)) for spec in specs]

    assert bare(Topics(prefix).specs(), prefix) == bare(Topics().specs(), "tocsin.")


def test_every_name_has_its_spec() -> None:
    topics = Topics("p.")
    names = [
        topics.jobs,
        topics.logs,
        topics.queues,
        topics.schedulers,
        topics.sources,
        topics.cursors,
        topics.deadletter,
        topics.actions,
        topics.probes,
    ]
    assert [spec.name for spec in topics.specs()] == names


def test_a_service_needs_to_see_only_what_it_uses() -> None:
    def used_by(*services: str) -> list[str]:
        return [spec.name.removeprefix("tocsin.") for spec in Topics().used_by(services)]

    assert used_by("bridge") == [name.removeprefix("tocsin.") for name in TABLE if name != "tocsin.probes"]
    assert used_by("logsvc") == ["jobs", "logs", "queues", "schedulers", "sources", "deadletter"]
    assert used_by("bot") == ["jobs", "logs", "queues", "schedulers", "sources", "probes"]
    assert used_by("bot", "logsvc") == [*used_by("logsvc"), "probes"]


@pytest.mark.parametrize(
    ("source", "queue", "of_8", "of_12", "of_256"),
    [
        ("main", "emails", 6, 2, 6),
        ("main", "reports", 3, 11, 115),
        ("eu", "emails", 4, 8, 92),
        ("main", "q/ü 🦜", 2, 6, 34),
        ("a.b-c_d", "x", 3, 7, 235),
    ],
)
def test_a_queue_keeps_its_partition_for_ever(source: str, queue: str, of_8: int, of_12: int, of_256: int) -> None:
    """Two services, or two releases, that disagreed here would break the order of a queue's events."""
    assert [partition_of(source, queue, count) for count in (1, 8, 12, 256)] == [0, of_8, of_12, of_256]


def test_queues_spread_over_all_partitions() -> None:
    held = [partition_of("main", f"queue-{number}", 8) for number in range(800)]
    assert min(held.count(partition) for partition in range(8)) > 50


def test_a_key_names_source_and_queue() -> None:
    assert queue_key("main", "q/ü 🦜") == "main:q/ü 🦜"
