"""How far the comparison of one queue with its Redis is."""

import time
from dataclasses import dataclass, field

from bridge.sources.bullmq.open_jobs import OpenJobs
from tocsin.events import OpenCursor

SOON_SECONDS = 1.0


@dataclass(slots=True)
class Reconciling:
    """stored: what Kafka holds of the queue's open jobs, until they are taken up. suspects: jobs to be asked for.

    has_strangers: there may be jobs that nobody told of. Times are monotonic: of the last record of the open jobs, of
    the next comparison, and until when to leave it after a refusal.
    """

    jobs: OpenJobs = field(default_factory=OpenJobs)
    stored: OpenCursor | None = None
    suspects: list[str] = field(default_factory=list[str])
    has_strangers: bool = True
    stored_at: float = 0.0
    due_at: float = 0.0
    resting_until: float = 0.0

    @property
    def has_questions(self) -> bool:
        """Whether there is something to ask Redis, now."""
        return bool(self.suspects or self.jobs.has_orphans) and time.monotonic() >= self.resting_until

    def soon(self) -> None:
        """Something happened of which no event gives the particulars."""
        self.due_at = min(self.due_at, time.monotonic() + SOON_SECONDS)
