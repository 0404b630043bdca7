"""What was told last of each job that has not ended: against this, what Redis holds is compared. Pure.

It differs from the memory of the readers (memory.py): a gap makes that doubtful, but what was told stays told. Bounded:
of more than MAX_JOBS the one told of longest ago is left out, one that runs last of all; its silent end is not noticed
then, until there is room and its list in Redis is looked through again. How many were left out is told. Kafka keeps
STORED_JOBS of them for the next owner, and all where this one ends in peace.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import msgspec

from tocsin.events import JobEvent, OpenCursor, OpenStored, State

MAX_JOBS = 20_000
MOST_IN_ALL = 300_000
"""Of all queues of a process: some 100 MB."""

LEAST_JOBS = 100
"""So many a queue may remember however little room is left."""

STORED_JOBS = 1_000
MOST_TOUCHED = 200_000
"""Jobs told of while what was told before is not known yet; of more, nothing of that is believed."""

STORED_CHARACTERS = 100_000
"""Of their ids and names: a record bigger than Kafka takes would hold none."""

_ACTIVE, _UNKNOWN = State.ACTIVE, State.UNKNOWN  # a member of an Enum is slow to find
OPEN = frozenset({State.WAITING, State.ACTIVE, State.DELAYED, State.RETRYING, State.STALLED, State.WAITING_CHILDREN})


class OpenJob(msgspec.Struct, gc=False):
    """One job. state: told last. added_at: 0 = unknown. priority: None = unknown."""

    state: State
    name: str = ""
    added_at: int = 0
    attempt: int = 0
    scheduler: str = ""
    priority: int | None = None


class Room:
    """How many more jobs all queues of a process may remember."""

    def __init__(self, most: int = MOST_IN_ALL) -> None:
        self.left = most


class OpenJobs:
    """Those of one queue, the one told of longest ago first. room: shared with other queues.

    forgotten: how many were left out, since that was told last.
    orphans: of a stream that was begun anew, and nobody knows yet what became of them. replaced: of these, jobs whose
    id was given to another since.
    """

    def __init__(self, max_jobs: int = MAX_JOBS, room: Room | None = None) -> None:
        self._room = room or Room()
        self._held = 0
        self.forgotten = 0
        self._active: OrderedDict[str, OpenJob] = OrderedDict()
        self._others: OrderedDict[str, OpenJob] = OrderedDict()
        self._max_jobs = max_jobs
        self.orphans: dict[str, OpenJob] = {}
        self.replaced: list[tuple[str, OpenJob]] = []
        self.is_changed = False
        self._touched: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self._active) + len(self._others)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._active or job_id in self._others

    @property
    def has_orphans(self) -> bool:
        return bool(self.orphans or self.replaced)

    def get(self, job_id: str) -> OpenJob | None:
        return self._active.get(job_id) or self._others.get(job_id)

    def items(self) -> Iterator[tuple[str, OpenJob]]:
        """Every job, those that run first."""
        yield from self._active.items()
        yield from self._others.items()

    def told(self, job_id: str, event: JobEvent) -> None:
        """Take in what is told now. job_id: as Redis has it; one that a record shows otherwise cannot be asked for."""
        state = event.state
        says_nothing = state is _UNKNOWN and event.event != "reconciled"
        if not job_id or job_id != event.job_id or "\ufffd" in job_id or says_nothing:
            return
        if self._touched is not None and len(self._touched) < MOST_TOUCHED:
            self._touched[job_id] = event.added_at if event.event == "added" else self._touched.get(job_id, 0)
        if self.orphans:
            self._settle_orphan(job_id, event)
        known = self.get(job_id)
        if state not in OPEN:
            if event.event != "reconciled" or known is None or known.added_at in (0, event.added_at):
                self.close(job_id)  # not one that has the id since
            return
        if known is None or event.event == "added":
            self.put(job_id, OpenJob(state, event.job_name, event.added_at, event.attempt, event.scheduler))
            return
        before, after = self._of(known.state), self._of(state)
        if before is not after:
            after[job_id] = before.pop(job_id)
        else:
            after.move_to_end(job_id)
        known.state, known.attempt = state, event.attempt
        known.name = event.job_name or known.name
        known.added_at = event.added_at or known.added_at
        known.scheduler = event.scheduler or known.scheduler
        self.is_changed = True

    def put(self, job_id: str, job: OpenJob) -> None:
        """Know this of a job."""
        self.close(job_id)
        self._of(job.state)[job_id] = job
        self.is_changed = True
        self._count()
        while self.space < 0:
            (self._others or self._active).popitem(last=False)
            self.forgotten += 1
            self._count()

    def close(self, job_id: str) -> None:
        """The job has ended, or is no more."""
        found = self._active.pop(job_id, None) or self._others.pop(job_id, None)
        if found is not None:
            self.is_changed = True
            self._count()

    @property
    def space(self) -> int:
        """How many more may be known; below 0: too many are."""
        return min(self._max_jobs - len(self), max(self._room.left, LEAST_JOBS - len(self)))

    def leave(self) -> None:
        """Nobody reads this queue any more: make room for others."""
        self._active.clear()
        self._others.clear()
        self._count()

    def _count(self) -> None:
        held = len(self._active) + len(self._others)
        self._room.left += self._held - held
        self._held = held

    def expect_late(self) -> None:
        """What was told before will be known later, by `take_up`."""
        self._touched = {}

    def take_up(self, late: "OpenJobs") -> None:
        """Know what was told before; of what was told since, that holds."""
        touched, self._touched = self._touched or {}, None
        self.is_changed = True
        if len(touched) >= MOST_TOUCHED:
            return
        mine = list(self.items())
        for job_id, job in late.items():
            if job_id not in touched:
                self.put(job_id, job)
        for job_id, job in mine:
            before = late.get(job_id)
            if before is not None and job.added_at in (0, before.added_at):
                job.name, job.added_at = job.name or before.name, before.added_at
                job.scheduler = job.scheduler or before.scheduler
                job.priority = before.priority if job.priority is None else job.priority
            self.put(job_id, job)
        self.replaced += late.replaced
        for job_id, orphan in late.orphans.items():
            if job_id not in touched:
                self.orphans[job_id] = orphan
            elif touched[job_id] not in (0, orphan.added_at):
                self.replaced.append((job_id, orphan))

    def orphan(self) -> None:
        """The stream was begun anew: what was told of these jobs may not hold."""
        self.orphans.update(self.items())
        while len(self.orphans) > self._max_jobs:
            del self.orphans[next(iter(self.orphans))]
        self._active.clear()
        self._others.clear()
        self._count()
        self.is_changed = True

    def stored(self) -> Iterator[tuple[list[OpenStored], list[OpenStored]]]:
        """As cursors hold them: the jobs, and the orphans; at most STORED_JOBS together in each, one at least."""
        mine = [(job_id, job, True) for job_id, job in self.items()]
        orphans = [(job_id, job, False) for job_id, job in (*self.replaced, *self.orphans.items())]
        stored: tuple[list[OpenStored], list[OpenStored]] = ([], [])
        left = STORED_CHARACTERS
        for job_id, job, is_mine in (*mine, *orphans):
            size = len(job_id) + len(job.name)
            if left < size or len(stored[0]) + len(stored[1]) >= STORED_JOBS:
                yield stored
                stored = ([], [])
                left = STORED_CHARACTERS
            left -= size
            priority = -1 if job.priority is None else job.priority
            stored[0 if is_mine else 1].append((job_id, job.added_at, job.state, job.name, priority))
        yield stored

    def restore(self, cursor: OpenCursor) -> None:
        """Know what a cursor holds."""
        for job_id, job in _restored(cursor.jobs):
            self.put(job_id, job)
        self.orphans.update(_restored(cursor.orphans))
        self.is_changed = False

    def _of(self, state: State) -> OrderedDict[str, OpenJob]:
        return self._active if state is _ACTIVE else self._others

    def _settle_orphan(self, job_id: str, event: JobEvent) -> None:
        """An event of the new stream: of the same life of the job, or of another job with its id."""
        orphan = self.orphans.pop(job_id, None)
        if orphan is None or event.event != "added" or event.backfill:
            return
        if event.added_at != orphan.added_at or not orphan.added_at:
            self.replaced.append((job_id, orphan))


def _restored(stored: Iterable[OpenStored]) -> Iterator[tuple[str, OpenJob]]:
    for job_id, added_at, state, name, priority in stored:
        yield job_id, OpenJob(state, name, added_at, priority=None if priority < 0 else priority)
