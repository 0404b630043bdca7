"""What the Node programs print, typed: the truth about each job, and BullMQ's own view of queues and jobs."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

Role = Literal["produce", "work", "both"]
State = Literal["completed", "failed"]


class Attempt(msgspec.Struct, frozen=True):
    """One counted run of a job, seen from inside its processor. Times are ms of the Node host's clock."""

    n: int
    """1-based: BullMQ's attemptsMade at the start, plus one."""
    outcome: State
    error: str | None
    """The message of what was thrown; None when it succeeded, or threw no Error (kind `thrown-text`)."""
    error_name: str | None
    """JavaScript's `error.name`, which BullMQ keeps only as the head of the stack."""
    error_key: str | None
    """The workload's own name of this way to fail: one per (class, message without its numbers, stack)."""
    unrecoverable: bool
    worker: str | None
    """The name of the worker that ran it, None if it has none."""
    started: int
    ended: int
    stack: str | None = None
    """JavaScript's `error.stack`, None where there is none, or BullMQ failed the job by itself."""

    @property
    def frames(self) -> list[str]:
        """The calls of its stack, newest first."""
        return [line.strip() for line in (self.stack or "").split("\n") if line.startswith("    at ")]


class Job(msgspec.Struct, frozen=True):
    """The truth about one job of the workload."""

    queue: str
    id: str
    name: str
    kind: str
    added: int
    """BullMQ's `timestamp`, ms."""
    max_attempts: int
    delay: int
    priority: int
    retries_by_hand: int
    """How often it had ended and was sent back."""
    removed: bool
    """It was added with removeOnComplete and removeOnFail: its hash is gone once it ended."""
    starts: tuple[int, ...]
    """Of each start of its processor: the number of the attempt it was, or would have been."""
    attempts: tuple[Attempt, ...]
    postponed: int
    """Starts that were no attempt: the processor moved the job to delayed or back to waiting itself."""
    final_state: State | None
    failed_reason: str | None
    returnvalue: str | None
    """JSON text, `null` for undefined; None unless completed."""
    logs: tuple[str, ...]
    """Lines of all attempts, in order."""
    progress: tuple[str, ...]
    """JSON text of each value, in order."""

    @property
    def is_ended_unrun(self) -> bool:
        """Whether BullMQ failed it in the end without calling its processor."""
        return self.final_state == "failed" and (not self.attempts or self.attempts[-1].error_key == "not-run")

    @property
    def key(self) -> tuple[str, str]:
        """Queue and id."""
        return self.queue, self.id

    @property
    def failed_attempts(self) -> tuple[Attempt, ...]:
        """The attempts that threw, in order."""
        return tuple(attempt for attempt in self.attempts if attempt.outcome == "failed")


class Summary(msgspec.Struct, frozen=True):
    """The workload's closing line. `errors` are the workers' and queues' own (a lost lock …), normally none."""

    version: str
    role: Role
    jobs: int
    added: int
    known: int
    completed: int
    failed: int
    attempts: int
    stopped: bool
    errors: tuple[str, ...]
    seconds: float


class Truth(msgspec.Struct, frozen=True):
    """What really happened, per job."""

    summary: Summary
    jobs: dict[tuple[str, str], Job]
    """By (queue, id)."""

    def in_state(self, state: State | None) -> list[Job]:
        """The jobs that ended so; None: that have not ended."""
        return [job for job in self.jobs.values() if job.final_state == state]

    def final_failures(self) -> Counter[tuple[str, str]]:
        """How many jobs of a queue failed for good, by (queue, error_key of the last attempt)."""
        return Counter((job.queue, job.attempts[-1].error_key or "") for job in self.in_state("failed"))

    def joined(self, others: Iterable["Truth"]) -> "Truth":
        """This truth with the jobs of others; of a job known to several, the record with the most attempts stays."""
        jobs = dict(self.jobs)
        for other in others:
            for key, job in other.jobs.items():
                if key not in jobs or len(job.attempts) > len(jobs[key].attempts):
                    jobs[key] = job
        return Truth(self.summary, jobs)


class Counts(msgspec.Struct, frozen=True):
    """BullMQ's own counts of a queue."""

    queue: str
    version: str
    counts: dict[str, int]
    """By BullMQ's state names. v5 shows the waiting jobs of a paused queue as `paused`, v6 as `waiting`."""
    is_paused: bool

    @property
    def waiting(self) -> int:
        """Jobs waiting, whether the queue is paused or not, on both versions."""
        return self.counts["waiting"] + self.counts.get("paused", 0)


class StoredJob(msgspec.Struct, frozen=True):
    """A job still in Redis, as BullMQ reads it."""

    id: str
    name: str
    state: str
    added: int
    attempts_made: int
    attempts_started: int
    failed_reason: str | None
    """Also set on a completed job that failed before."""
    stacktrace: tuple[str, ...]
    """Oldest first, one per failed attempt."""
    returnvalue: str | None
    """JSON text; None unless completed."""
    logs: tuple[str, ...]
