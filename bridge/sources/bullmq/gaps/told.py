"""What Kafka holds of a queue that could be rebuilt, so that nothing is told twice."""

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from bridge.sources.bullmq.translate import Place
from tocsin.events import BadRecord, JobEvent, decode

TOLD_BEFORE_MS = 60_000
"""What was told so long before a time may be of it, when the clock of the app's host is that far ahead."""

ReadBack = Callable[[Sequence[Place], int], AsyncGenerator[tuple[str, bytes]]]
"""Reads from Kafka what was told of some queues of a partition since a time (Redis clock, ms), with the queue's name,
in one reading however many they are. Raises TimeoutError: too much to read."""

ENDS = ("completed", "failed")
PRESENT = ("active", "delayed", "progress", "waiting", "waiting-children")
"""Events that are told again and again of a job: only those rebuilt once must not be rebuilt again."""

LASTS = (*ENDS, "retries-exhausted", "active")
"""Events of which the last one told is known, by its time."""

_WORDS = [f'"event":"{event}"'.encode() for event in (*LASTS, "added")] + [b'"rebuilt":true']


@dataclass(frozen=True, slots=True)
class Ended:
    """A job found in a final state. at: finishedOn, ms."""

    at: int
    job_id: str
    event: str


class Told:
    """Fills by `learn`. skew_ms: how far the clocks of the app's host and of Redis may be apart.

    An end is known by its time, not by its attempt: a retry by hand may count attempts anew, and BullMQ 5.40 and older
    count none where a job stalled too often.
    """

    def __init__(self, skew_ms: int) -> None:
        self._skew_ms = skew_ms
        self._known: set[int] = set()
        self._ended: dict[int, int] = {}

    def learn(self, record: bytes) -> None:
        """Take in one record of the jobs topic."""
        if not any(word in record for word in _WORDS):
            return  # most records, and quickly known
        try:
            event = decode(JobEvent, record)
        except BadRecord:
            return  # another release's
        if event.event in LASTS:
            end = hash((event.job_id, event.added_at, event.event))
            self._ended[end] = max(event.ts, self._ended.get(end, 0))
        if event.event == "added" or (event.rebuilt and event.event in PRESENT):
            self._known.add(hash((event.job_id, event.added_at, event.event, event.attempt)))

    def has(self, job_id: str, added_at: int, event: str, attempt: int) -> bool:
        """Whether this was told of this life of the job. A record that did not know when it was added counts for each.

        Of an end, ask `has_end`.
        """
        return any(hash((job_id, added, event, attempt)) in self._known for added in (added_at, 0))

    def has_end(self, job_id: str, added_at: int, event: str, at: int) -> bool:
        """Whether this end (or begin of a run) at a time (ms, the app's clock), or a later one of this life of the job,
        was told."""
        return any(
            self._ended.get(hash((job_id, added, event)), -math.inf) >= at - self._skew_ms for added in (added_at, 0)
        )
