"""How far the comparison of one queue with its Redis is."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.sources.bullmq.gaps.told import Ended
from bridge.sources.bullmq.reconcile.open_jobs import OpenJobs
from bridge.sources.bullmq.stream import Position
from tocsin.events import OpenCursor

SOON_SECONDS = 1.0


@dataclass(slots=True)
class Reconciling:
    """What is known of a queue's open jobs, and what is to be asked of Redis, and when. Times `_at` are monotonic."""

    jobs: OpenJobs = field(default_factory=OpenJobs)
    stored: OpenCursor | None = None
    """What Kafka holds of the open jobs, until they are taken up (takeup.py)."""
    start: Position = field(default_factory=Position)
    """The position at the restart."""
    pages: int = 0
    """The last further page of the open jobs in Kafka, until it is taken back."""
    suspects: list[str] = field(default_factory=list[str])
    """Jobs to be asked for."""
    ended: dict[str, Ended] = field(default_factory=dict[str, Ended])
    """By job id, ends that were found and may not have been told: they are mended as those of a gap are."""
    ends_told: dict[str, int] = field(default_factory=dict[str, int])
    """By job id, when it ended (ms), of jobs whose end is told by now and that are open all the same."""
    has_strangers: bool = True
    """There may be jobs that nobody told of."""
    left_out_at: float = 0.0
    """When it was told last how many jobs were left out."""
    stored_at: float = 0.0
    """The last record of the open jobs."""
    due_at: float = 0.0
    """The next comparison."""
    resting_until: float = 0.0
    """After a refusal nothing is asked until then."""

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

    def may_go_on(self, job_id: str) -> bool | None:
        """Whether a job has not ended, as far as was told; not to be excluded of any before they are taken up.

        None = nobody knows: of some that are open nothing is known, and this may be one of them.
        """
        if self.stored is not None or job_id in self.jobs or job_id in self.jobs.orphans:
            return True
        return None if self.has_strangers or self.jobs.forgotten else False

    @property
    def has_questions(self) -> bool:
        """Whether there is something to ask Redis, now."""
        return bool(self.suspects or self.jobs.has_orphans) and time.monotonic() >= self.resting_until

    def soon(self) -> None:
        """Something happened of which no event gives the particulars."""
        self.due_at = min(self.due_at, time.monotonic() + SOON_SECONDS)
