"""Stream entries, job hashes and memory -> records of the contract: pure, in the stream's order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from bridge.fingerprint import fingerprint
from bridge.jsontext import write
from bridge.redaction import redact
from bridge.sources.bullmq.attempts import Counted, End, Failure, failure
from bridge.sources.bullmq.enrich import JobHash, whole
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from bridge.sources.bullmq.runs import FROM_REST, Run, find_runs
from bridge.sources.bullmq.stream import Entry, Reading
from tocsin.events import VERSION, JobEvent, Level, State

STATES = {
    "added": State.WAITING,
    "waiting": State.WAITING,
    "delayed": State.DELAYED,
    "active": State.ACTIVE,
    "progress": State.UNKNOWN,  # anybody may update it, of a job that waits or has ended too
    "completed": State.COMPLETED,
    "failed": State.FAILED,
    "retries-exhausted": State.FAILED,
    "stalled": State.STALLED,
    "waiting-children": State.WAITING_CHILDREN,
    "removed": State.REMOVED,
}
"""The job's state after an event; events that are not here say nothing of it."""

LEVELS = {State.FAILED: Level.ERROR, State.RETRYING: Level.WARN, State.STALLED: Level.WARN}

PAUSES = {"paused": True, "resumed": False}
"""Whether a queue is paused after an event."""

NEEDS_HASH = frozenset(STATES) - {"removed", "progress", "retries-exhausted"}
_NO_JOB = JobMemory()
_ACTIVE, _RETRYING, _WARN = State.ACTIVE, State.RETRYING, Level.WARN  # a member of an Enum is slow to find
_BY_WORKERS = (End.COMPLETED, End.FAILED)
_PLACES = frozenset({"waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed"})
"""What BullMQ says of where a job was before."""
_copy: Callable[[JobEvent], JobEvent] = cast(Any, JobEvent).__copy__
CONSUMED_FIELDS = frozenset(
    {"event", "jobId", "prev", "name", "data", "returnvalue", "failedReason", "delay", "attemptsMade"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where events come from."""

    env: str
    source: str
    queue: str

    def identity(self, epoch: int, tail: str) -> str:
        """An event's id."""
        return f"{self.source}:{self.queue}:{epoch}:{tail}"

    def record(self, event: str, *, epoch: int, tail: str, ts: int, stream_id: str = "", **more: Any) -> JobEvent:
        """A record of what no one stream entry says. tail: what tells it from all others of the epoch."""
        return JobEvent(
            v=VERSION,
            id=self.identity(epoch, tail),
            ts=ts,
            env=self.env,
            source=self.source,
            queue=self.queue,
            epoch=epoch,
            stream_id=stream_id,
            event=event,
            **more,
        )


@dataclass(frozen=True, slots=True)
class Bad:
    """An entry that is no event, and why."""

    entry: Entry
    reason: str


@dataclass(slots=True)
class Translated:
    """told: what each entry became, in the stream's order. bad: how many became no event.

    is_paused: whether the queue is, as far as these tell.
    """

    told: list[JobEvent | Bad] = field(default_factory=list["JobEvent | Bad"])
    bad: int = 0
    is_paused: bool | None = None

    @property
    def events(self) -> list[JobEvent]:
        return [one for one in self.told if not isinstance(one, Bad)]


class _Kinds(dict[str, JobEvent]):
    """How the records of one reading begin, by event: each is a copy, at a fifth of what it takes to make one anew.

    id: the beginning of theirs.
    """

    def __init__(self, place: Place, epoch: int, *, is_backfill: bool) -> None:
        super().__init__()
        self._place, self._epoch, self._is_backfill = place, epoch, is_backfill

    def __missing__(self, event: str) -> JobEvent:
        state = STATES.get(event, State.UNKNOWN)
        level = LEVELS.get(state, Level.DEBUG if event == "progress" else Level.INFO)
        begun = self[event] = self._place.record(
            redact.cut(event, redact.NAME_BYTES),
            epoch=self._epoch,
            tail="",
            ts=0,
            level=level,
            state=state,
            backfill=self._is_backfill,
        )
        return begun


def needs_hash(entry: Entry) -> bool:
    """Whether the job's hash tells more about this entry."""
    return bool(entry.job_id) and entry.event in NEEDS_HASH


def is_cut_short(entries: Sequence[Entry]) -> bool:
    """Whether the last entry cannot be understood without the one after it: a stall is `waiting`, then `stalled`."""
    last = entries[-1]
    return last.event == "waiting" and last.fields.get("prev") == "active"


def translate(
    place: Place,
    reading: Reading,
    entries: Sequence[Entry],
    hashes: Mapping[str, JobHash | None],
    memory: QueueMemory,
) -> Translated:
    """Translate entries and bring the memory up to them. hashes: by job id; None = asked for and gone."""
    result = Translated()
    _settle(hashes, memory)
    runs = find_runs(entries, hashes, memory)
    with_data: set[str] = set()
    learned: dict[str, JobMemory] = {}
    backfilled = reading.position.count_backfill(entries)
    kinds = _Kinds(place, reading.position.epoch, is_backfill=backfilled > 0)
    told, resets, ended = result.told, runs.reset, runs.ended
    for at, entry in enumerate(entries):
        if at == backfilled:
            kinds = _Kinds(place, reading.position.epoch, is_backfill=False)
        job_id, event = entry.job_id, entry.event
        if not event:
            result.told.append(Bad(entry, "a stream entry without an `event` field"))
            result.bad += 1
            continue
        job = hashes.get(job_id)
        if job is not None and at < runs.speaks_from.get(job_id, 0):
            job = None
        if resets and at in resets:
            _reset(memory.job(job_id), resets[at])
        try:
            if event == "progress":
                record = _progress(kinds, entry, job, memory)
            else:
                record = _event(kinds, entry, job, memory, ended.get(at), learned)
        except Exception as error:  # noqa: BLE001  # whatever an app may write: one entry never stops a queue
            result.told.append(Bad(entry, f"it cannot be translated ({type(error).__name__})"))
            result.bad += 1
            continue
        if job is not None and job.data and job_id not in with_data:
            with_data.add(job_id)
            record.data = job.data
        told.append(record)
        if not job_id:
            result.is_paused = PAUSES.get(event, result.is_paused)
    return result


def gap(place: Place, reading: Reading, ts: int) -> JobEvent:
    """The record of entries trimmed before they could be read."""
    return place.record(
        "gap",
        epoch=reading.position.epoch,
        tail=f"g:{reading.passed or reading.lost_from}",
        ts=ts,
        stream_id=reading.lost_to,
        level=Level.ERROR,
        lost=reading.lost,
        gap_from=reading.lost_from,
        gap_to=reading.lost_to,
        message=f"{reading.lost} events were trimmed from the stream before they could be read",
    )


def stream_reset(place: Place, reading: Reading, ts: int) -> JobEvent:
    """The record of a stream that is another than before: deleted, begun anew, or cut short by a failover."""
    is_cut = reading.position.last_id != "0-0"
    lost = "a failover lost the last entries of the event stream, which were told; it goes on with those before them"
    begun = "the event stream was deleted or begun anew; what its jobs did until then is unknown"
    return place.record(
        "stream-reset",
        epoch=reading.position.epoch,
        tail="reset",
        ts=ts,
        level=Level.WARN,
        message=lost if is_cut else begun,
    )


def remember(entries: Sequence[Entry], memory: QueueMemory) -> None:
    """Bring the memory up to entries relayed before, without their hashes (after a restart)."""
    runs = find_runs(entries, {}, memory)
    for at, entry in enumerate(entries):
        if entry.event and entry.job_id and entry.event != "progress":
            known = _update(entry, None, memory, None, {})
            run = runs.ended.get(at)
            if run is None:
                continue
            memory.rest(entry.job_id)
            if not run.end.is_final:
                known.unsettled += (run.end,)
            elif known.attempts_made is not None:
                known.attempts_made += run.end.is_attempt


def _settle(hashes: Mapping[str, JobHash | None], memory: QueueMemory) -> None:
    """Count what was remembered of these jobs, now that their options are known, or never will be."""
    for job_id, job in hashes.items():
        known = memory.known(job_id)
        if known is not None and known.unsettled:
            if job is not None:
                known.waits_to_retry = job.waits_to_retry
            known.settle(is_every_run_counted=_tells_of(known, job))


def _tells_of(known: JobMemory, job: JobHash | None) -> bool:
    """Whether a hash shows that each run remembered was an attempt: it was not reset by hand since."""
    return job is not None and job.is_every_run_counted and (known.runs or 0) <= (job.attempts_started or 0)


def _progress(kinds: _Kinds, entry: Entry, job: JobHash | None, memory: QueueMemory) -> JobEvent:
    """Many jobs tell of it often, and it says nothing of what the job does: nothing is remembered, or less doubted."""
    job_id, fields = entry.job_id, entry.fields
    record, known = _copy(kinds["progress"]), _NO_JOB
    if job_id:
        known = memory.known(job_id) or _NO_JOB
        _add_job(record, job_id, known)
    record.id += entry.id
    record.stream_id, record.ts = entry.id, entry.ts
    if known.is_active:
        record.state = _ACTIVE
    made = known.attempts_made
    if made is None:
        made = job.attempts_made if job is not None else 0
    record.attempt = made + known.is_active
    record.progress = redact.json_text(fields.get("data", ""))
    if prev := fields.get("prev"):
        record.prev = redact.cut(prev, redact.NAME_BYTES)
    if not CONSUMED_FIELDS.issuperset(fields):
        record.data = _others("progress", fields)
    return record


def _event(
    kinds: _Kinds,
    entry: Entry,
    job: JobHash | None,
    memory: QueueMemory,
    run: Run | None,
    learned: dict[str, JobMemory],
) -> JobEvent:
    fields, job_id, event = entry.fields, entry.job_id, entry.event
    record, known = _copy(kinds[event]), _NO_JOB
    record.id += entry.id
    record.stream_id, record.ts = entry.id, entry.ts
    if job_id:
        known = _update(entry, job, memory, run, learned)
        _add_job(record, job_id, known)
        if event in NEEDS_HASH:
            is_counted = known.attempts_known is not None if run is None else run.is_certain
            if job is None or not is_counted:
                record.enriched = False
    record.attempt = _attempt(event, fields, known, job, run)
    if run is not None:
        _add_run(record, run, known)
    elif event == "active":
        record.wait_ms = max(0, entry.ts - known.waiting_since) if known.waiting_since else None
        record.worker = known.worker
    if event == "completed":
        record.result = redact.json_text(fields.get("returnvalue", ""))
    elif event == "delayed":
        record.delay_until = whole(fields.get("delay")) or None
    if prev := fields.get("prev"):
        record.prev = prev if prev in _PLACES else redact.cut(prev, redact.NAME_BYTES)
    if event not in STATES or not CONSUMED_FIELDS.issuperset(fields):
        record.data = _others(event, fields)
    is_retry = run is not None and run.is_attempt and not run.end.is_final
    if is_retry:
        record.state, record.level, record.prev = _RETRYING, _WARN, "active"
    if is_retry or event == "failed":
        failed = _failure(event, fields, run, job)
        add_failure(record, failed)
        record.enriched = record.enriched and failed.is_certain
    return record


def _add_job(record: JobEvent, job_id: str, known: JobMemory) -> None:
    """Say what a job is."""
    record.job_id, record.job_name, record.added_at = redact.identifier(job_id), known.name, known.added_at
    record.max_attempts = known.max_attempts
    if known.parent:
        record.parent = known.parent
    if known.scheduler:
        record.scheduler = known.scheduler
    if known.trace_id:
        record.trace_id = known.trace_id


def _add_run(record: JobEvent, run: Run, known: JobMemory) -> None:
    """Say of the run that ended when that was, how long it took and who ran it."""
    began, ended = known.active_since, record.ts
    record.ended_at, record.worker = ended, known.worker
    if began:
        record.started_at, record.run_ms = began, max(0, ended - began)


def _failure(event: str, fields: Mapping[str, str], run: Run | None, job: JobHash | None) -> Failure:
    reason = fields.get("failedReason", "") if event == "failed" else None
    return failure(run.attempt if run else 0, job, reason, run.stacks_before if run else None)


def add_failure(record: JobEvent, failed: Failure) -> None:
    """Write a failed attempt's error into its record, with the fingerprint of it."""
    record.error = redact.text(failed.error)
    record.error_type = redact.name(failed.error_type)
    record.stack = redact.lines(failed.stack)
    record.fingerprint = fingerprint(record.queue, record.job_name, record.error_type, record.error, record.stack)


def _others(event: str, fields: Mapping[str, str]) -> str:
    """What an entry holds that has no place of its own, as JSON text."""
    others: dict[str, Any] = {name: value for name, value in fields.items() if name not in CONSUMED_FIELDS}
    if event not in STATES and "data" in fields:
        others["data"] = fields["data"]
    return redact.json_text(write(others)) if others else ""


def _attempt(event: str, fields: Mapping[str, str], known: JobMemory, job: JobHash | None, run: Run | None) -> int:
    """The attempt an event belongs to: the one that ended, the one that runs, or the one made last."""
    if event == "retries-exhausted":
        return whole(fields.get("attemptsMade"))
    if run is not None:
        return run.attempt
    made = known.attempts_made
    if made is None:
        made = job.attempts_made if job is not None else 0
    return made + (known.is_active or event == "stalled")


def _update(
    entry: Entry, job: JobHash | None, memory: QueueMemory, run: Run | None, learned: dict[str, JobMemory]
) -> JobMemory:
    """Bring one job's memory up to an entry. learned: those that were brought up to this hash already."""
    job_id, event = entry.job_id, entry.event
    if event == "added":
        memory.forget(job_id)
    known = memory.job(job_id)
    known.is_doubted = False
    if event == "added":
        known.attempts_made = known.runs = known.stacks = 0
        known.name = redact.name(entry.fields.get("name", ""))
    if job is not None and learned.get(job_id) is not known:
        if job.added_at and known.added_at not in (0, job.added_at):  # its id was used again in a gap
            memory.forget(job_id)
            known = memory.job(job_id)
        learn(known, job)
        learned[job_id] = known
    if run is not None:
        known.attempts_made, known.is_guess = run.made, not run.is_certain
    if event == "active":
        memory.run(job_id, entry.ts)
    elif event in ("completed", "failed"):
        memory.finish(job_id)
        if run is not None and run.end in _BY_WORKERS:
            memory.names_every_worker = "prev" in entry.fields
    elif run is not None or event == "waiting-children":
        memory.rest(job_id)
    elif event == "removed":
        memory.forget(job_id)
    if event in ("added", "waiting"):
        memory.wait(job_id, entry.ts)
    elif event in FROM_REST:
        memory.wait_no_more(job_id)
    if job is not None and (run is not None or event == "active"):
        is_its_own = known.runs == job.attempts_started and (known.runs == 1 or memory.names_every_worker)
        known.worker = redact.name(job.worker) if is_its_own else known.worker
    return known


def _reset(known: JobMemory, counted: Counted) -> None:
    """A retry by hand began to count anew, or goes on from what is known by now."""
    known.attempts_made, known.is_guess = counted.before, not counted.is_before_known


def learn(known: JobMemory, job: JobHash) -> None:
    """Bring one job's memory up to its hash."""
    known.name = known.name or redact.name(job.name)
    known.added_at = job.added_at or known.added_at
    known.max_attempts = job.max_attempts
    known.stacks = len(job.stacks)
    known.waits_to_retry = job.waits_to_retry
    known.parent = redact.identifier(job.parent) if job.parent else ""
    known.scheduler = redact.identifier(job.scheduler) if job.scheduler else ""
    known.trace_id = job.trace_id
    known.keeps_logs = job.keeps_logs
