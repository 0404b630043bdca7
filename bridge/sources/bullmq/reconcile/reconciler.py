"""Corrects what no event corrects: jobs that were drained, cleaned, obliterated, auto-removed, replaced, reprioritized.

Every BRIDGE_RECONCILE_SECONDS the lists of a queue are read and compared with what was told of its open jobs. Whatever
does not fit is a suspicion. It becomes a record only when one MULTI shows both the job and the stream, with nothing
unread of that job: an event on its way always wins. A refusal, a timeout, a stream with unread losses say nothing.
That MULTI is the primary's: a replica of a cluster may know nothing of a slot that moves, and takes keys that are
elsewhere already for gone.

What a pass costs, and 10,000 jobs drained at once: docs/bridge.md, by benchmarks/reconcile.py.
"""

import time
from collections.abc import Mapping, Sequence
from typing import cast

import structlog
from msgspec.structs import replace

from bridge.errors import SourceUnavailable
from bridge.outbox import Outbox, Parcel
from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq import wire
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.enrich import JobHash, whole
from bridge.sources.bullmq.gaps.rebuild import is_in
from bridge.sources.bullmq.gaps.told import ENDS, Ended
from bridge.sources.bullmq.groups import all_open_jobs, no_pages, open_jobs
from bridge.sources.bullmq.reconcile import standing
from bridge.sources.bullmq.reconcile.open_jobs import OPEN, STORED_JOBS, OpenJob, OpenJobs
from bridge.sources.bullmq.reconcile.standing import Correction, Standing
from bridge.sources.bullmq.stream import Entry, Position
from bridge.sources.bullmq.translate import Bad, Translated
from bridge.sources.bullmq.watched import Queue
from tocsin.events import Level, State

log = structlog.get_logger("bridge.reconcile")

JOBS_A_QUESTION = 100
UNSEEN_A_PASS = 1_000
"""Of jobs that may stand out of sight in a list that was cut, so many are asked for one by one in each pass."""

ADOPTED_A_PASS = 1_000
PRIORITIES_A_READ = 1_000
STEP_SECONDS = 0.05
"""How long a lane corrects before it reads on."""

STORE_SECONDS = 5.0
LEFT_OUT_SECONDS = 600.0

WITHOUT = "what no event says (drained, cleaned, obliterated jobs) is not told"

Corrected = tuple[str, OpenJob, Correction]
"""A job, what was told of it, and what is to be told instead."""


class Reconciler:
    """Reconciles for one lane."""

    def __init__(
        self,
        site: str,
        door: Door,
        outbox: Outbox[Parcel],
        records: Records,
        *,
        every_seconds: float,
    ) -> None:
        self._site = site
        self._door = door
        self._outbox = outbox
        self._records = records
        self._every_seconds = every_seconds
        self._resting_until = 0.0

    def note(
        self, queue: Queue, entries: Sequence[Entry], translated: Translated, hashes: Mapping[str, JobHash | None]
    ) -> None:
        """Take in what is told now of these entries, with the hashes read for it."""
        jobs, unknown = queue.reconciling.jobs, State.UNKNOWN
        for entry, event in zip(entries, translated.told, strict=True):
            if isinstance(event, Bad):
                continue
            if event.state is not unknown:
                jobs.told(entry.job_id, event)
            elif event.event == "cleaned":
                queue.reconciling.soon()
        for job_id, hashed in hashes.items():
            job = jobs.get(job_id)
            if job is not None and hashed is not None and job.priority is None:
                job.priority = hashed.priority

    def begin_anew(self, queue: Queue) -> None:
        """The stream was begun anew."""
        queue.reconciling.jobs.orphan()
        queue.reconciling.suspects.clear()
        queue.reconciling.ended.clear()
        queue.reconciling.ends_told.clear()
        queue.reconciling.has_strangers = True
        queue.reconciling.soon()

    def lost(self, queue: Queue) -> None:
        """Entries were lost: there may be jobs nobody told of."""
        queue.reconciling.has_strangers = True

    def store(self, queue: Queue, position: Position, now: int, *, is_urgent: bool = False) -> list[Record]:
        """The record of the open jobs as of a position, if they changed and that is due; further pages go."""
        state = queue.reconciling
        is_due = is_urgent or time.monotonic() - state.stored_at >= STORE_SECONDS
        if not state.jobs.is_changed or not is_due or not queue.is_taken_up:
            return []
        state.stored_at = time.monotonic()
        state.jobs.is_changed = False
        void = no_pages(self._site, self._records, queue.place, state.pages)
        state.pages = 0
        return [open_jobs(self._site, self._records, queue.place, position, state.jobs, now), *void]

    async def step(self, queues: Sequence[Queue]) -> bool:
        """Go on with queues that were read to their ends, for a moment; return whether there is more to ask at once.

        One with gaps is compared only after these were mended as far as they are past: more is known then.
        Raises SourceUnavailable.
        """
        now = time.monotonic()
        if now < self._resting_until:
            return False
        end = now + STEP_SECONDS
        ready = [queue for queue in queues if not queue.position.gaps or now < queue.mend_at]
        for queue in ready:
            while time.monotonic() < end and await self._step(queue):
                pass
            await self._tell_left_out(queue)
            if records := self.store(queue, queue.position, self._door.now_ms()):
                await self._outbox.put(records)
        return any(queue.reconciling.has_questions for queue in ready)

    async def store_all(self, queue: Queue) -> None:
        """Nobody reads this queue here any more: leave the next owner all open jobs, not some as `store` does."""
        jobs, now = queue.reconciling.jobs, self._door.now_ms()
        if queue.is_taken_up and (jobs.is_changed or len(jobs) > STORED_JOBS):
            await self._outbox.put(all_open_jobs(self._site, self._records, queue.place, queue.position, jobs, now))

    async def _tell_left_out(self, queue: Queue) -> None:
        """Say of how many jobs nobody will notice a silent end, at once and then now and then."""
        state, now = queue.reconciling, time.monotonic()
        if not state.jobs.forgotten or now < state.left_out_at:
            return
        count, state.jobs.forgotten, state.left_out_at = state.jobs.forgotten, 0, now + LEFT_OUT_SECONDS
        state.has_strangers = True
        log.warning("jobs_left_out", source=queue.place.source, queue=queue.place.queue, jobs=count)
        ts = self._door.now_ms()
        record = queue.place.record(
            "left-out",
            epoch=queue.position.epoch,
            tail=f"u:{ts}",
            ts=ts,
            level=Level.WARN,
            message=f"{count} jobs no longer accounted for: more are open than are watched, and what becomes of these"
            " without an event will not be told",
        )
        await self._outbox.put([self._records.job(record)])

    async def _step(self, queue: Queue) -> bool:
        """Do the next thing; return whether to go on."""
        state = queue.reconciling
        if state.has_questions:
            return await self._ask(queue) and state.has_questions
        if time.monotonic() < state.due_at:
            return False
        state.due_at = time.monotonic() + self._every_seconds
        if len(state.jobs) or state.has_strangers:
            await self._look(queue)
        return state.has_questions

    async def _look(self, queue: Queue) -> None:
        """Compare all that was told with the queue's lists."""
        state = queue.reconciling
        commands = standing.inventory_commands(queue.keys)
        replies = await self._door.ask(commands)
        found = standing.parse_inventory(replies)
        if found is None:
            self._door.say_any_refused(commands, replies, without=WITHOUT)
            return
        missing, unseen = standing.suspects(state.jobs, found)
        state.suspects = missing + unseen[:UNSEEN_A_PASS]
        for job_id in unseen[:UNSEEN_A_PASS]:  # others next time
            if (job := state.jobs.get(job_id)) is not None:
                state.jobs.put(job_id, job)
        state.suspects += await self._reprioritized(queue, standing.delayed(state.jobs, found))
        if state.has_strangers:
            has_more = await self._adopt(queue, standing.strangers(state.jobs, found))
            state.has_strangers = has_more or bool(found.cut)

    async def _reprioritized(self, queue: Queue, known: Mapping[str, int]) -> list[str]:
        """Of delayed jobs those whose priority is another: until they are due it stands in their hashes alone."""
        ids, found = list(known), list[str]()
        for start in range(0, len(ids), PRIORITIES_A_READ):
            some = ids[start : start + PRIORITIES_A_READ]
            replies = await self._door.ask([("HGET", queue.keys.job(job_id), "priority") for job_id in some])
            for job_id, reply in zip(some, replies, strict=True):
                if isinstance(reply, bytes) and whole(reply) != known[job_id]:
                    found.append(job_id)
        return found

    async def _adopt(self, queue: Queue, places: dict[str, str]) -> bool:
        """Know of jobs that nobody told of (before Tocsin, lost, forgotten), so that their silent end is noticed.

        Not of those that unread entries will tell of, nor before a gap among these is known, nor of those added in a
        gap that is not mended yet: who mends it tells of them. Returns whether there are more.
        """
        some = list(places.items())[: min(ADOPTED_A_PASS, max(0, queue.reconciling.jobs.space))]
        if not some:
            return bool(places)
        opening = wire.read_commands(queue.keys.events, queue.position, standing.ENTRIES_A_QUESTION)[:-1]
        hashed: list[Command] = [("HMGET", queue.keys.job(job_id), *standing.HASHED) for job_id, _ in some]
        commands = [*opening, *hashed, ("EXEC",)]
        *queued, executed = await self._door.ask(commands)
        if isinstance(executed, Refused):
            self._door.say_any_refused(commands, [*queued, executed], without=WITHOUT)
            return True
        replies = cast(list[Reply], executed)
        try:
            unread = standing.told_by(standing.unread_entries(queue.position, replies))
        except standing.Unread:
            return True
        has_more = len(places) > len(some)
        for (job_id, place), reply in zip(some, replies[-len(some) :], strict=True):
            if isinstance(reply, Refused) or job_id in unread:
                continue
            found = standing.parse_job(job_id, [reply, *[None] * (standing.COMMANDS_PER_JOB - 1)], {place: {job_id}})
            if found is None or not found.has_hash:
                continue
            if any(is_in(gap, found.added_at) for gap in queue.position.gaps):
                has_more = True
            else:
                queue.reconciling.jobs.put(job_id, _adopted(found))
        return has_more

    async def _ask(self, queue: Queue) -> bool:
        """Ask for some suspects exactly and tell what is certain; return whether to go on at once."""
        state = queue.reconciling
        orphans = list(state.jobs.orphans)[:JOBS_A_QUESTION]
        ids = orphans or state.suspects[:JOBS_A_QUESTION]
        keys = queue.keys
        opening = wire.read_commands(keys.events, queue.position, standing.ENTRIES_A_QUESTION)[:-1]
        asked = [command for job_id in ids for command in standing.job_commands(keys, job_id)]
        commands = [*opening, *standing.lists_commands(keys), *asked, ("EXEC",)]
        try:
            *queued, reply = await self._door.ask_primary(commands)
        except SourceUnavailable:  # where replicas are read, reading goes on without it
            self._resting_until = time.monotonic() + self._every_seconds
            raise
        answers = standing.parse_answers(ids, cast(list[Reply], reply)[2:]) if isinstance(reply, list) else None
        if answers is None:  # refused: nothing is known of any
            executed = cast(list[Reply], reply) if isinstance(reply, list) else []
            replies: list[Reply] = [*queued, reply, *executed]
            self._door.say_any_refused([*commands, *commands[1:]], replies, without=WITHOUT)
            state.resting_until = time.monotonic() + self._every_seconds
            state.suspects.clear()
            return False
        try:
            entries = standing.unread_entries(queue.position, cast(list[Reply], reply))
        except standing.Unread:
            return False
        unread = {entry.job_id for entry in entries}
        replaced, state.jobs.replaced = state.jobs.replaced, []  # before what is open is stored, with what is told
        told = [(job_id, job, standing.REPLACED) for job_id, job in replaced]
        if orphans:
            told += self._judge_orphans(state.jobs, {id: found for id, found in answers.items() if id not in unread})
        else:
            state.suspects = state.suspects[len(ids) :]
            told += self._judge(queue, {id: found for id, found in answers.items() if id not in unread})
        await self._tell(queue, told)
        return not unread

    def _judge_orphans(self, jobs: OpenJobs, answers: Mapping[str, Standing | None]) -> list[Corrected]:
        told: list[Corrected] = []
        for job_id, found in answers.items():
            orphan = jobs.orphans.pop(job_id)
            jobs.is_changed = True
            correction = standing.orphaned(orphan, found) if found is not None else None
            if correction is not None:
                told.append((job_id, orphan, correction))
            elif job_id not in jobs:
                jobs.put(job_id, orphan)
        return told

    def _judge(self, queue: Queue, answers: Mapping[str, Standing | None]) -> list[Corrected]:
        state, told = queue.reconciling, list[Corrected]()
        jobs = state.jobs
        for job_id, found in answers.items():
            job = jobs.get(job_id)
            if job is None or found is None:
                continue
            correction = standing.correct(job_id, job, found)
            if correction is None:
                job.priority = found.priority if job.priority is None and found.has_hash else job.priority
            elif correction.state in ENDS and state.ends_told.pop(job_id, None) != found.at:
                # Perhaps nobody told of it: that is mended like a gap, with an alarm for a failure. If somebody did,
                # and of another state after it, it is corrected like the rest when it is found again.
                state.ended[job_id] = Ended(found.at, job_id, correction.state)
            else:
                told.append((job_id, job, correction))
        return told

    async def _tell(self, queue: Queue, told: Sequence[Corrected]) -> None:
        """Put the corrections into the outbox, with the open jobs that remain: told once, whatever is killed."""
        if not told:
            return
        now, jobs = self._door.now_ms(), queue.reconciling.jobs
        records: list[Record] = []
        for job_id, job, correction in told:
            event = standing.reconciled(queue.place, queue.position.epoch, job_id, job, correction, now)
            records.append(self._records.job(event))
            if correction.state not in OPEN:
                if jobs.get(job_id) is job:
                    jobs.close(job_id)
                    queue.memory.forget(job_id)
                    queue.reconciling.has_strangers = True  # its id may be another's
            else:
                jobs.put(job_id, replace(job, state=correction.state, priority=correction.priority))
                if correction.state is State.ACTIVE:
                    queue.memory.run(job_id, now)
                elif job_id in queue.memory:
                    queue.memory.rest(job_id)
                    if correction.state is not State.WAITING:
                        queue.memory.wait_no_more(job_id)
        jobs.is_changed = True
        records += self.store(queue, queue.position, now, is_urgent=True)
        await self._outbox.put(records, lambda: queue.tally.counters.reconciled.inc(len(told)))


def _adopted(found: Standing) -> OpenJob:
    state = standing.STATE_AT[cast(str, found.place)]
    return OpenJob(state, found.name, found.added_at, priority=found.priority)
