"""How far the comparison of one queue with its Redis is."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.sources.bullmq.open_jobs import OpenJobs
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.told import Ended
from tocsin.events import OpenCursor

SOON_SECONDS = 1.0


@dataclass(slots=True)
class Reconciling:
    """stored: what Kafka holds of the queue's open jobs, until they are taken up (takeup.py); pages: the last further
    page of them there, until it is taken back; start: the position at
    the restart. suspects: jobs to be asked for. ended: ends that were found and may not have been told, by job id: they
    are mended like those of a gap (gaps.py). ends_told: when those jobs ended (ms) whose end is told by now and who are
    open all the same.

    has_strangers: there may be jobs that nobody told of. Times are monotonic: of the last record of the open jobs, of
    the next comparison, and until when to leave it after a refusal; when it was told how many
    jobs were left out.
    """

    jobs: OpenJobs = field(default_factory=OpenJobs)
    stored: OpenCursor | None = None
    start: Position = field(default_factory=Position)
    pages: int = 0
    suspects: list[str] = field(default_factory=list[str])
    ended: dict[str, Ended] = field(default_factory=dict[str, Ended])
    ends_told: dict[str, int] = field(default_factory=dict[str, int])
    has_strangers: bool = True
    left_out_at: float = 0.0
    stored_at: float = 0.0
    due_at: float = 0.0
    resting_until: float = 0.0

    def __post_init__(self) -> None:
        if self.stored is not None:
            self.jobs.expect_late()

    def take_up(self, late: OpenJobs) -> None:
        """Know the open jobs as they were told until `start`."""
        self.stored = None
        self.jobs.take_up(late)

    def mended(self, ends: Sequence[Ended]) -> None:
        """These are told."""
        for ended in ends:
            self.ended.pop(ended.job_id, None)
            if ended.job_id in self.jobs:  # an end that was told before, and another state after it
                self.ends_told[ended.job_id] = ended.at

    def may_go_on(self, job_id: str) -> bool:
        """Whether a job has not ended, as far as was told; not to be excluded of any before they are taken up."""
        return self.stored is not None or job_id in self.jobs or job_id in self.jobs.orphans

    @property
    def has_questions(self) -> bool:
        """Whether there is something to ask Redis, now."""
        return bool(self.suspects or self.jobs.has_orphans) and time.monotonic() >= self.resting_until

    def soon(self) -> None:
        """Something happened of which no event gives the particulars."""
        self.due_at = min(self.due_at, time.monotonic() + SOON_SECONDS)
