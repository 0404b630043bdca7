"""What the reader of one queue remembers of its unfinished jobs, so that an event can be told with what came before.

Bounded: the job untouched for longest is forgotten first, one that runs last of all. What was forgotten is read from
the job's hash, as well as that tells.
"""

from collections import OrderedDict

import msgspec

from bridge.sources.bullmq.attempts import End

MAX_JOBS = 20_000
MAX_FINISHED = 200
"""Finished jobs are remembered for what follows at once: retries-exhausted, a retry by hand."""

PASSED_BY = 100
"""So many that run are passed by in one call in search of those to forget."""


class JobMemory(msgspec.Struct, gc=False):
    """One job. Times are Redis's clock, ms; 0 = unknown."""

    name: str = ""
    added_at: int = 0
    max_attempts: int = 0
    attempts_made: int | None = None
    """None = unknown; so are `runs` and `stacks`."""
    is_guess: bool = False
    """attempts_made is the best one can say."""
    runs: int | None = None
    """How many began."""
    worker: str = ""
    """Of the run that is active."""
    unsettled: tuple[End, ...] = ()
    """Ends of runs since attempts_made, which only the job's options tell from attempts (after a restart)."""
    stacks: int | None = None
    """How many the hash held when it was read last."""
    waits_to_retry: bool | None = None
    """As in JobHash."""
    is_active: bool = False
    """Set by QueueMemory alone."""
    is_finished: bool = False
    is_doubted: bool = False
    """Entries were lost since; what it did meanwhile is unknown."""
    waiting_since: int = 0
    active_since: int = 0
    keeps_logs: bool = False
    """Its log holds only its newest lines (`keepLogs`), so an index into it means nothing."""
    parent: str = ""
    scheduler: str = ""
    trace_id: str = ""

    @property
    def is_learned(self) -> bool:
        """Whether its hash was read."""
        return self.max_attempts > 0

    @property
    def attempts_known(self) -> int | None:
        """Attempts made, None where that is a guess."""
        return None if self.is_guess else self.attempts_made

    def doubt(self) -> None:
        """Forget what it was doing and how often it was tried; what it is stays known."""
        self.is_doubted = True
        self.attempts_made = self.runs = self.stacks = None
        self.is_guess = False
        self.worker = ""
        self.unsettled = ()
        self.is_active = False
        self.waiting_since = self.active_since = 0

    def settle(self, *, is_every_run_counted: bool) -> None:
        """Count the unsettled ends, by what `waits_to_retry` says now. is_every_run_counted: as in JobHash."""
        if self.attempts_made is not None:
            may_be = [end for end in self.unsettled if end.may_be_attempt(self.waits_to_retry)]
            self.attempts_made += len(may_be)
            self.is_guess |= not is_every_run_counted and not all(end.is_attempt for end in may_be)
        self.unsettled = ()


class QueueMemory:
    """The jobs of one queue, least recently touched first; and of those that wait, the one that has waited longest.

    names_every_worker: BullMQ 5.40 names the worker of a job's first run, and may leave that name at later ones; a
    version whose `completed` and `failed` tell `prev` names each.
    """

    def __init__(self, max_jobs: int = MAX_JOBS) -> None:
        self._jobs: OrderedDict[str, JobMemory] = OrderedDict()
        self._active: dict[str, None] = {}
        self._finished: dict[str, None] = {}
        self._waiting: dict[str, None] = {}
        self._max_jobs = max_jobs
        self.names_every_worker = False

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def known(self, job_id: str) -> JobMemory | None:
        """The job's memory if there is one."""
        return self._jobs.get(job_id)

    def job(self, job_id: str) -> JobMemory:
        """The job's memory, made empty if there is none."""
        found = self._jobs.get(job_id)
        if found is None:
            if len(self._jobs) >= self._max_jobs:
                self._forget_oldest()
            found = self._jobs[job_id] = JobMemory()
        else:
            self._jobs.move_to_end(job_id)
        return found

    def forget(self, job_id: str) -> None:
        """A job that was removed, or begins a new life under the same id."""
        self._jobs.pop(job_id, None)
        self._active.pop(job_id, None)
        self._waiting.pop(job_id, None)

    def wait(self, job_id: str, since: int) -> None:
        """The job became ready. since: Redis's clock, ms."""
        job = self.job(job_id)
        job.waiting_since, job.is_finished = since, False
        self._waiting.pop(job_id, None)
        self._waiting[job_id] = None

    def wait_no_more(self, job_id: str) -> None:
        """The job is not ready, or it is no more."""
        self._waiting.pop(job_id, None)

    def waiting(self, job_id: str) -> JobMemory | None:
        """The job's memory if it is ready, as far as is known; what it did before may not be."""
        return self._jobs.get(job_id) if job_id in self._waiting else None

    @property
    def longest_waiting(self) -> str | None:
        """Of the jobs known to be ready, the one that became so first."""
        return next(iter(self._waiting), None)

    def run(self, job_id: str, since: int) -> None:
        """The job became active. since: Redis's clock, ms."""
        job = self.job(job_id)
        job.is_active, job.is_finished, job.active_since = True, False, since
        job.runs = None if job.runs is None else job.runs + 1
        job.worker = ""
        self._waiting.pop(job_id, None)
        self._active[job_id] = None

    def rest(self, job_id: str) -> JobMemory:
        """The job is active no more."""
        job = self.job(job_id)
        job.is_active = False
        self._active.pop(job_id, None)
        return job

    def finish(self, job_id: str) -> None:
        """The job is completed or failed: forget it soon, unless it comes back."""
        self.rest(job_id).is_finished = True
        self._waiting.pop(job_id, None)
        self._finished.pop(job_id, None)
        self._finished[job_id] = None
        if len(self._finished) > MAX_FINISHED:
            oldest = next(iter(self._finished))
            del self._finished[oldest]
            job = self._jobs.get(oldest)
            if job is not None and job.is_finished:
                del self._jobs[oldest]

    def active(self) -> list[tuple[str, JobMemory]]:
        """Jobs believed to run now."""
        return [(job_id, self._jobs[job_id]) for job_id in self._active]

    def doubt(self) -> None:
        """Entries were lost: nobody knows what the jobs did meanwhile."""
        for job in self._jobs.values():
            job.doubt()
        self._active.clear()
        self._waiting.clear()

    def clear(self) -> None:
        """The stream was begun anew: nothing known holds."""
        self._jobs.clear()
        self._active.clear()
        self._finished.clear()
        self._waiting.clear()

    def shrink(self, most: int) -> None:
        """Forget jobs down to so many, those untouched for longest first, none that runs; go on at the next call."""
        excess = min(len(self._jobs) - most, len(self._jobs) - len(self._active))
        for _ in range(excess + PASSED_BY if excess > 0 else 0):
            job_id, job = next(iter(self._jobs.items()))
            if job.is_active:
                self._jobs.move_to_end(job_id)
                continue
            self.forget(job_id)
            excess -= 1
            if not excess:
                break

    def _forget_oldest(self) -> None:
        for _ in range(len(self._active) + 1):
            job_id, job = next(iter(self._jobs.items()))
            if not job.is_active:
                break
            self._jobs.move_to_end(job_id)
        self.forget(next(iter(self._jobs)))


Memories = dict[str, QueueMemory]
"""Of one source's queues in one partition, by queue."""
