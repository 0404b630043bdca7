"""The incident machine: what a group of failures does to an incident (pure).

An incident is one kind of failure of one queue. It fires, is resolved by silence, and fires again as a new episode;
each episode has its own message in chat.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from bot.rules import Policy, fingerprint_of, is_final_failure
from tocsin.events import JobEvent


class Key(NamedTuple):
    """What makes two failures the same incident."""

    env: str
    source: str
    queue: str
    fingerprint: str


KEY_BYTES = 600
"""Bytes of each of the four parts of a key: an index entry of Postgres holds some 2700."""
SHORT, LONG = 300, 2000
LAST_MS = 253_402_300_799_000
"""The end of the year 9999, the last one a date can be told of."""
NOT_STORED = "(Postgres could not hold the details of this failure; history has them)"


class Phase(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


class Call(StrEnum):
    """What people hear of a step: a new message, an edit of the one they have, or a line in the late summary."""

    RING = "ring"
    EDIT = "edit"
    SUMMARY = "summary"


@dataclass(frozen=True)
class LastFailure:
    """The newest failure of an incident, as far as a chat may see it: no payload, no result, no log line."""

    job_id: str = ""
    job_name: str = ""
    error_type: str = ""
    error: str = ""
    frame: str = ""
    attempt: int = 0
    max_attempts: int = 0
    worker: str = ""


@dataclass(frozen=True)
class Tally:
    """The failures of one key in one batch. Times are ms, Redis clock. is_fresh: the newest is not stale."""

    count: int
    first_ms: int
    last_ms: int
    is_fresh: bool
    last: LastFailure


@dataclass(frozen=True)
class Incident:
    """Times are ms: first and last seen by the Redis clock, touched (last change) by ours.

    count: failures of this episode; total: of all episodes. has_rung: this episode has its own message.
    """

    key: Key
    phase: Phase
    episode: int
    count: int
    total: int
    first_ms: int
    last_ms: int
    touched_ms: int
    has_rung: bool
    last: LastFailure = field(default_factory=LastFailure)
    previous_ms: int | None = None
    """When the episode before this one was last seen."""


@dataclass(frozen=True)
class Step:
    incident: Incident
    call: Call
    added: int


def tally(
    events: Iterable[JobEvent], *, now_ms: int, born_ms: int, policy: Policy, skew_ms: Mapping[str, int]
) -> dict[Key, Tally]:
    """Group the failures of a batch. What failed before born_ms (the bot's first start) is the past: left out.

    skew_ms: source -> how far the clock of its Redis is behind; without it a Redis that is minutes behind would have
    no failure that is fresh. Corrects comparisons with our clock only: people are told the time of their Redis.
    """
    tallies: dict[Key, Tally] = {}
    for event in events:
        failed_ms = event.ts + skew_ms.get(event.source, 0)
        if not is_final_failure(event) or failed_ms < born_ms:
            continue
        key = Key(*(key_part(part) for part in (event.env, event.source, event.queue, fingerprint_of(event))))
        is_fresh = now_ms - failed_ms <= policy.stale_seconds * 1000
        at_ms = min(event.ts, LAST_MS)
        one = Tally(1, at_ms, at_ms, is_fresh, _last(event))
        known = tallies.get(key)
        tallies[key] = one if known is None else _add(known, one)
    return tallies


def _add(one: Tally, other: Tally) -> Tally:
    newest = other if other.last_ms >= one.last_ms else one
    return Tally(
        count=one.count + other.count,
        first_ms=min(one.first_ms, other.first_ms),
        last_ms=newest.last_ms,
        is_fresh=one.is_fresh or other.is_fresh,
        last=newest.last,
    )


def _last(event: JobEvent) -> LastFailure:
    return LastFailure(
        job_id=stored(event.job_id, SHORT),
        job_name=stored(event.job_name, SHORT),
        error_type=stored(event.error_type, SHORT),
        error=stored(event.error, LONG),
        frame=stored(event.stack[0], SHORT) if event.stack else "",
        attempt=event.attempt,
        max_attempts=event.max_attempts,
        worker=stored(event.worker, SHORT),
    )


def stored(text: str, most: int) -> str:
    """Text as Postgres can hold it: without NUL, and not longer than we shall ever show."""
    return text[:most].replace("\0", "\ufffd")


def key_part(text: str) -> str:
    """One part of a key, as the index can hold it."""
    return stored(text, KEY_BYTES).encode()[:KEY_BYTES].decode(errors="ignore")


def bare(event: JobEvent) -> JobEvent:
    """The least of a failure that still rings: where it happened, in ASCII; for one whose details cannot be stored."""
    env, source, queue, job_id = (ascii(part)[1:-1] for part in (event.env, event.source, event.queue, event.job_id))
    return JobEvent(
        v=event.v,
        id="",
        ts=event.ts,
        env=env,
        source=source,
        queue=queue,
        epoch=event.epoch,
        stream_id="",
        event=event.event,
        state=event.state,
        job_id=job_id,
        error=NOT_STORED,
    )


def step(key: Key, before: Incident | None, seen: Tally, *, now_ms: int) -> Step:
    """Apply a batch's failures of one key to its incident, or open one."""
    if before is None or before.phase is Phase.RESOLVED:
        return _open(key, before, seen, now_ms)
    rings_now = seen.is_fresh and not before.has_rung
    after = replace(
        before,
        count=before.count + seen.count,
        total=before.total + seen.count,
        first_ms=min(before.first_ms, seen.first_ms),
        last_ms=max(before.last_ms, seen.last_ms),
        touched_ms=now_ms,
        has_rung=before.has_rung or rings_now,
        last=seen.last if seen.last_ms >= before.last_ms else before.last,
    )
    call = Call.RING if rings_now else Call.EDIT if before.has_rung else Call.SUMMARY
    return Step(after, call, seen.count)


def _open(key: Key, before: Incident | None, seen: Tally, now_ms: int) -> Step:
    incident = Incident(
        key=key,
        phase=Phase.FIRING,
        episode=before.episode + 1 if before else 1,
        count=seen.count,
        total=seen.count + (before.total if before else 0),
        first_ms=seen.first_ms,
        last_ms=seen.last_ms,
        touched_ms=now_ms,
        has_rung=seen.is_fresh,
        last=seen.last,
        previous_ms=before.last_ms if before else None,
    )
    return Step(incident, Call.RING if seen.is_fresh else Call.SUMMARY, seen.count)


def resolve(incident: Incident, *, now_ms: int, heard_ms: int, policy: Policy) -> Incident | None:
    """The incident resolved, or None while it is not silent for long enough. heard_ms: all up to then is counted."""
    if incident.phase is Phase.RESOLVED or heard_ms - incident.touched_ms < policy.resolve_seconds * 1000:
        return None
    return replace(incident, phase=Phase.RESOLVED, touched_ms=now_ms)


@dataclass(frozen=True)
class Late:
    """One chat's summary of failures that were read late. kinds: label -> failures."""

    failures: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    first_ms: int = 0
    last_ms: int = 0


MOST_KINDS = 200
OTHER_KINDS = "other kinds"


def add_late(summary: Late, one: Step) -> Late:
    """Count a step that does not ring into a summary; beyond MOST_KINDS labels the rest share one."""
    key, last = one.incident.key, one.incident.last
    label = f"{key.env} · {key.source}/{key.queue} · {last.error_type or 'Error'}"
    if label not in summary.kinds and len(summary.kinds) >= MOST_KINDS:
        label = OTHER_KINDS
    return Late(
        failures=summary.failures + one.added,
        kinds={**summary.kinds, label: summary.kinds.get(label, 0) + one.added},
        first_ms=min(summary.first_ms or one.incident.first_ms, one.incident.first_ms),
        last_ms=max(summary.last_ms, one.incident.last_ms),
    )
