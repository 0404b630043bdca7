"""Compares what the bridge relayed with what the workload's processors saw."""

from collections import Counter

from tests.bullmq.records import Attempt, Job, Truth
from tests.kafka_reader import Records
from tocsin.events import JobEvent

HANDED_BACK = frozenset({"handed-back", "rate-limited"})
"""Kinds whose first run goes back to waiting without an error, as a retry without backoff does: read late, that is told
as unknown. BullMQ 5.40 and older say which it was."""


def ends_of(events: list[JobEvent]) -> list[JobEvent]:
    """The events that end an attempt."""
    return [event for event in events if event.state == "retrying" or event.event in ("completed", "failed")]


def has_ended(records: Records, truth: Truth) -> bool:
    """Whether the end of every job was relayed, each as often as it ended."""
    ended = Counter((event.queue, event.job_id) for event in records.jobs if event.event in ("completed", "failed"))
    return all(ended[key] > job.retries_by_hand for key, job in truth.jobs.items())


def differences(records: Records, truth: Truth) -> list[str]:
    """What is not as it was; empty = all of it is true. What says `enriched=false` need not be known."""
    found: list[str] = []
    events, lines = records.of_jobs(), _lines(records)
    for key, job in truth.jobs.items():
        ends = ends_of(events.get(key, []))
        found += [f"{key} {job.kind}: {problem}" for problem in _of_job(job, events.get(key, []), ends)]
        if not job.removed and lines.get(key, []) != list(job.logs):
            found.append(f"{key}: log lines {lines.get(key, [])} for {list(job.logs)}")
    found += [f"{id} twice" for id, n in Counter(event.id for event in records.jobs).items() if n > 1]
    found += [f"log line {id} twice" for id, n in Counter(line.id for line in records.logs).items() if n > 1]
    found += [f"dead letter: {letter.reason}" for letter in records.deadletter]
    return found


def unknown_of_kept(records: Records, truth: Truth) -> list[str]:
    """Events of jobs whose hash was there all the time, told as unknown nevertheless."""
    kept = {key for key, job in truth.jobs.items() if not job.removed and job.kind not in HANDED_BACK}
    return [
        f"{truth.jobs[event.queue, event.job_id].kind}: {event}"
        for event in records.jobs
        if not event.enriched and (event.queue, event.job_id) in kept
    ]


def untimed(records: Records) -> list[str]:
    """Attempts whose end was read as it was written, and told without their beginning."""
    return [event.id for event in ends_of(records.jobs) if event.enriched and event.started_at is None]


def out_of_order(records: Records) -> list[str]:
    """Events that came after a later one of their queue."""
    found: list[str] = []
    last: dict[str, tuple[int, int]] = {}
    for event in records.jobs:
        if event.stream_id:
            at = _order(event.stream_id)
            if at < last.get(event.queue, (0, 0)):
                found.append(event.id)
            last[event.queue] = at
    return found


def _order(stream_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = stream_id.partition("-")
    return int(milliseconds), int(sequence)


def _lines(records: Records) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for line in sorted(records.logs, key=lambda line: line.line):
        found.setdefault((line.queue, line.job_id), []).append(line.message)
    return found


def _of_job(job: Job, events: list[JobEvent], ends: list[JobEvent]) -> list[str]:
    if not ends:
        return ["nothing relayed of its end"]
    problems: list[str] = []
    last = ends[-1]
    if last.event != job.final_state:
        problems.append(f"ended {last.event} for {job.final_state}")
    if last.event == "failed" and last.error != job.failed_reason:
        problems.append(f"final error {last.error!r} for {job.failed_reason!r}")
    if last.event == "completed" and last.result != job.returnvalue:
        problems.append(f"result {last.result!r} for {job.returnvalue!r}")
    told = [(event.attempt, "completed" if event.event == "completed" else "failed") for event in ends]
    if all(event.enriched for event in events) and told != [(attempt.n, attempt.outcome) for attempt in job.attempts]:
        problems.append(f"attempts {told} for {[(attempt.n, attempt.outcome) for attempt in job.attempts]}")
    elif len(told) != len(job.attempts) and not job.postponed:
        problems.append(f"{len(told)} attempts for {len(job.attempts)}")
    problems += [problem for event in events if event.enriched for problem in _of_event(job, event)]
    problems += _of_starts(job, events)
    progress = [event.progress for event in events if event.event == "progress"]
    if progress != list(job.progress):
        problems.append(f"progress {progress} for {list(job.progress)}")
    return problems


def _of_event(job: Job, event: JobEvent) -> list[str]:
    """What one event that says it is enriched has wrong."""
    problems: list[str] = []
    if event.job_name != job.name:
        problems.append(f"name {event.job_name!r} for {job.name!r}")
    if event.event in ("active", "completed", "failed") and event.added_at != job.added:
        problems.append(f"added at {event.added_at} for {job.added}")
    if not ends_of([event]):
        return problems
    attempt = next((attempt for attempt in job.attempts if attempt.n == event.attempt), None)
    if attempt is None or attempt.outcome != ("completed" if event.event == "completed" else "failed"):
        return [*problems, f"{event.event} ({event.state}) of attempt {event.attempt}, which is {attempt}"]
    if attempt.error_key == "not-run":  # BullMQ failed it by itself: whether it says by whom, and a stack, depends
        return problems if event.error == attempt.error else [*problems, f"error {event.error!r} for {attempt.error!r}"]
    if event.worker not in ("", attempt.worker or ""):
        problems.append(f"worker of attempt {attempt.n} {event.worker!r} for {attempt.worker!r}")
    problems += _of_times(job, event, attempt)
    return problems + (_of_failure(job, event, attempt) if attempt.outcome == "failed" else [])


def _of_times(job: Job, event: JobEvent, attempt: Attempt) -> list[str]:
    """Redis and the processor have one clock here: a run begins before its processor does, and ends after it."""
    before = max((other.ended for other in job.attempts if other.n < attempt.n), default=job.added)
    began, ended = event.started_at, event.ended_at or 0
    is_true = ended >= attempt.ended and (began is None or before <= began <= attempt.started)
    if is_true and event.run_ms == (None if began is None else ended - began):
        return []
    told = f"{began} to {ended}, {event.run_ms} ms"
    return [f"attempt {attempt.n} ran {told}, its processor {attempt.started} to {attempt.ended}"]


def _of_failure(job: Job, event: JobEvent, attempt: Attempt) -> list[str]:
    problems: list[str] = []
    if event.error != (attempt.error if attempt.error is not None else "null"):  # of a text BullMQ keeps nothing
        problems.append(f"error of attempt {attempt.n} {event.error!r} for {attempt.error!r}")
    if event.error_type not in (attempt.error_name or "", "" if job.removed else attempt.error_name):
        problems.append(f"error type of attempt {attempt.n} {event.error_type!r} for {attempt.error_name!r}")
    if event.stack not in (attempt.frames, [] if job.removed else attempt.frames):
        problems.append(f"stack of attempt {attempt.n} {event.stack} for {attempt.frames}")
    return problems


def _of_starts(job: Job, events: list[JobEvent]) -> list[str]:
    """Each start of the processor and its `active`, in order. BullMQ fails some jobs without calling it, at the end."""
    active = [event for event in events if event.event == "active"]
    if len(active) not in (len(job.starts), len(job.starts) + job.is_ended_unrun):
        return [f"{len(active)} times active for {len(job.starts)} starts"]
    return [
        f"active as attempt {event.attempt} for {n}"
        for event, n in zip(active, job.starts, strict=False)
        if event.enriched and event.attempt != n
    ]
