"""What Kafka holds of a queue that could be rebuilt, so that nothing is told twice."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence

from bridge.sources.bullmq.translate import Place
from tocsin.events import BadRecord, JobEvent, decode

TOLD_BEFORE_MS = 60_000
"""What was told so long before a time may be of it, when the clock of the app's host is that far ahead."""

ReadBack = Callable[[Sequence[Place], int], AsyncGenerator[tuple[str, bytes]]]
"""Reads from Kafka what was told of some queues of a partition since a time (Redis clock, ms), with the queue's name,
in one reading however many they are. Raises TimeoutError: too much to read."""

ENDS = ("completed", "failed")
PRESENT = ("active", "delayed", "waiting", "waiting-children")
"""Events that are told again and again of a job: only those rebuilt once must not be rebuilt again."""

TELLING = (*ENDS, "retries-exhausted", "added")

_WORDS = [f'"event":"{event}"'.encode() for event in TELLING] + [b'"rebuilt":true']


class Told:
    """Fills by `learn`. skew_ms: how far the clocks of the app's host and of Redis may be apart."""

    def __init__(self, skew_ms: int) -> None:
        self._skew_ms = skew_ms
        self._known: set[int] = set()
        self._guessed: dict[tuple[str, str], list[int]] = defaultdict(list)

    def learn(self, record: bytes) -> None:
        """Take in one record of the jobs topic."""
        if not any(word in record for word in _WORDS):
            return  # most records, and quickly known
        try:
            event = decode(JobEvent, record)
        except BadRecord:
            return  # another release's
        if event.event in TELLING or (event.rebuilt and event.event in PRESENT):
            self._known.add(hash((event.job_id, event.added_at, event.event, event.attempt)))
            if event.event in ENDS and not event.enriched:
                self._guessed[event.job_id, event.event].append(event.ts)

    def has(self, job_id: str, added_at: int, event: str, attempt: int, at: int | None = None) -> bool:
        """Whether this was told of this life of the job. A record that did not know when it was added counts for each.

        at: when it ended, ms: a record whose attempt is a guess is known by its time.
        """
        if any(hash((job_id, added, event, attempt)) in self._known for added in (added_at, 0)):
            return True
        times = self._guessed.get((job_id, event), ())
        return at is not None and any(abs(ts - at) <= self._skew_ms for ts in times)
