"""Compares what the bridge relayed with what the workload's processors saw."""

from collections import Counter

from tests.bullmq.records import Job, Truth
from tests.kafka_reader import Records
from tocsin.events import JobEvent

UNDECIDABLE = frozenset({"handed-back"})
"""Without backoff a run that is handed back at once looks like a retry as soon as the next run has failed."""

UNDECIDABLE_ONCE_GONE = frozenset({"postponed"})
"""A run that moved its job to delayed looks like a retry when the job's hash is gone."""


def ends_of(events: list[JobEvent]) -> list[JobEvent]:
    """The events that end an attempt."""
    return [event for event in events if event.state == "retrying" or event.event in ("completed", "failed")]


def has_ended(records: Records, truth: Truth) -> bool:
    """Whether the end of every job was relayed."""
    ended = {(event.queue, event.job_id) for event in records.jobs if event.event in ("completed", "failed")}
    return ended >= truth.jobs.keys()


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


def unknown_of_kept(records: Records, truth: Truth) -> list[JobEvent]:
    """Events of jobs whose hash was there all the time, told as unknown nevertheless."""
    kept = {key for key, job in truth.jobs.items() if not job.removed and job.kind not in UNDECIDABLE}
    return [event for event in records.jobs if not event.enriched and (event.queue, event.job_id) in kept]


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
    is_known = all(event.enriched for event in ends)
    if job.kind in UNDECIDABLE or (job.kind in UNDECIDABLE_ONCE_GONE and not is_known):
        return problems
    told = [(event.attempt, "completed" if event.event == "completed" else "failed") for event in ends]
    if is_known and told != [(attempt.n, attempt.outcome) for attempt in job.attempts]:
        problems.append(f"attempts {told} for {[(attempt.n, attempt.outcome) for attempt in job.attempts]}")
    elif len(told) != len(job.attempts):
        problems.append(f"{len(told)} attempts for {len(job.attempts)}")
    for event, attempt in zip(ends, job.attempts, strict=False):
        if event.enriched and attempt.outcome == "failed":
            is_text = attempt.error is None  # thrown, and BullMQ keeps nothing of it: the final reason is "null"
            if event.error != (attempt.error if attempt.error is not None else "null"):
                problems.append(f"error of attempt {attempt.n} {event.error!r} for {attempt.error!r}")
            if event.error_type not in (attempt.error_name or "", "" if job.removed else attempt.error_name):
                problems.append(f"error type of attempt {attempt.n} {event.error_type!r} for {attempt.error_name!r}")
            if not job.removed and bool(event.stack) is is_text:
                problems.append(f"stack of attempt {attempt.n}: {event.stack}")
    for event in events:
        if event.enriched and event.job_name != job.name:
            problems.append(f"name {event.job_name!r} for {job.name!r}")
        if event.enriched and event.event in ("active", "completed", "failed") and event.added_at != job.added:
            problems.append(f"added at {event.added_at} for {job.added}")
    progress = [event.progress for event in events if event.event == "progress"]
    if progress != list(job.progress):
        problems.append(f"progress {progress} for {list(job.progress)}")
    return problems
