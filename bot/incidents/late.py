"""Failures that were read too late to ring one by one: one chat's summary of them (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.incidents.machine import Step

MOST_KINDS = 200
OTHER_KINDS = "other kinds"


@dataclass(frozen=True)
class Late:
    """One chat's summary of failures that were read late. kinds: label -> failures."""

    failures: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    first_ms: int = 0
    last_ms: int = 0


def add_late(summary: Late, one: Step) -> Late:
    """Count a step that does not ring into a summary."""
    incident = one.incident
    return Late(
        failures=summary.failures + one.added,
        kinds=count_kind(summary.kinds, label(one), one.added),
        first_ms=min(summary.first_ms or incident.first_ms, incident.first_ms),
        last_ms=max(summary.last_ms, incident.last_ms),
    )


def label(one: Step) -> str:
    """What kind of failure a step is of, in one line."""
    key, last = one.incident.key, one.incident.last
    return f"{key.env} · {key.source}/{key.queue} · {last.error_type or 'Error'}"


def count_kind(kinds: Mapping[str, int], kind: str, added: int) -> dict[str, int]:
    """Add to a kind; beyond MOST_KINDS labels the rest share one."""
    if kind not in kinds and len(kinds) >= MOST_KINDS:
        kind = OTHER_KINDS
    return {**kinds, kind: kinds.get(kind, 0) + added}
