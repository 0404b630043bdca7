"""One job: its runs, and of one run every attempt, the timeline and the log."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from logsvc.api.answers import Coverage
from logsvc.api.job_list import JobItem
from logsvc.api.journal import DAY, Journal, Where
from logsvc.api.markers import Marker
from logsvc.attempts import Attempt, attempts_of
from logsvc.rows import COLUMNS, Row
from logsvc.times import parse_time, rfc3339, rfc3339_or_none

MOST_TIMELINE_ROWS = 20_000

ONE = (
    f"SELECT {COLUMNS} FROM journal WHERE source = {{source:String}} AND queue = {{queue:String}}"
    " AND job_id = {job_id:String} ORDER BY ts DESC, kind, kafka_offset DESC, line DESC LIMIT {most:UInt32}"
)

CHILDREN = """
SELECT source, queue, job_id, max(ts) AS last,
    argMaxIf(job_name, ts, job_name != '') AS a_name, argMaxIf(state, ts, state != 'unknown') AS a_state
FROM journal
WHERE kind = 'event' AND source = {source:String} AND endsWith(parent, {key:String})
    AND ts BETWEEN {earliest:Int64} AND {latest:Int64}
GROUP BY source, queue, job_id
ORDER BY last DESC, queue, job_id
LIMIT 200
"""


class Run(msgspec.Struct, kw_only=True):
    """One life of a job id: numeric ids begin anew after a queue was obliterated."""

    added_at: str | None
    first_ts: str
    last_ts: str
    state: str


class JobName(msgspec.Struct):
    """A job in another queue of the same source."""

    source: str
    queue: str
    job_id: str


class Child(JobName):
    """A job that this one waited for, as of its newest event."""

    job_name: str
    state: str
    ts: str


class Job(JobItem, kw_only=True):
    """One run of a job, with everything known. timeline: events and log lines, oldest first; logs: the lines alone.

    parent: Redis key of the job that waits for this one; parent_job: the same by its names. children: the jobs it
    waited for, 200 at most. markers: of its environment, while it lasted.

    is_cut: the run has more rows than are shown; the newest are.
    """

    data: str
    result: str
    progress: str
    parent: str
    parent_job: JobName | None
    children: list[Child]
    markers: list[Marker]
    scheduler: str
    runs: list[Run]
    attempts: list[Attempt]
    timeline: list[Row]
    logs: list[Row]
    is_cut: bool
    as_of: str | None
    coverage: Coverage


def runs_of(rows: Sequence[Row], runs: Sequence[int]) -> list[Run]:
    """All runs of the id, newest first."""
    by_run: dict[int, list[Row]] = {}
    for row, run in zip(rows, runs, strict=True):
        by_run.setdefault(run, []).append(row)
    return [
        Run(
            added_at=rfc3339_or_none(run),
            first_ts=mine[0].ts,
            last_ts=mine[-1].ts,
            state=_newest(mine, "state", "unknown"),
        )
        for run, mine in sorted(by_run.items(), reverse=True)
    ]


def _newest(rows: Sequence[Row], name: str, besides: Any = "") -> Any:
    """The newest value of a field of the events that says something."""
    told = (getattr(row, name) for row in reversed(rows) if row.kind == "event")
    return next((value for value in told if value not in ("", None, besides)), besides)


def parent_of(source: str, parent: str) -> JobName | None:
    """The names in a parent's key, `prefix:queue:id`."""
    parts = parent.rsplit(":", 2)
    return JobName(source, parts[1], parts[2]) if len(parts) == 3 else None


async def children_of(journal: Journal, names: Mapping[str, str], rows: Sequence[Row]) -> list[Child]:
    """The jobs whose parent is this run. Only one that has waited for children is asked for them."""
    if not any(row.state == "waiting-children" for row in rows):
        return []
    asked: dict[str, Any] = {
        "source": names["source"],
        "key": f":{names['queue']}:{names['job_id']}",
        "earliest": parse_time("ts", rows[0].ts) - DAY,
        "latest": parse_time("ts", rows[-1].ts) + DAY,
    }
    return [
        Child(row["source"], row["queue"], row["job_id"], row["a_name"], row["a_state"], rfc3339(int(row["last"])))
        for row in await journal.ask(CHILDREN, Where([], asked))
    ]


def job_of(
    names: dict[str, str],
    added_at: int,
    rows: Sequence[Row],
    runs: list[Run],
    is_cut: bool,
    children: list[Child],
    markers: list[Marker],
    as_of: str | None,
    coverage: Coverage,
) -> Job:
    events = [row for row in rows if row.kind == "event"]
    last = events[-1] if events else rows[-1]
    failure = next((row for row in reversed(events) if row.error), last)
    return Job(
        **names,
        env=last.env,
        job_name=_newest(rows, "job_name") or last.job_name,
        added_at=rfc3339_or_none(added_at),
        ts=last.ts,
        event=last.event,
        state=_newest(rows, "state", "unknown"),
        attempt=max((row.attempt for row in events), default=0),
        max_attempts=max((row.max_attempts for row in events), default=0),
        error=failure.error,
        error_type=failure.error_type,
        fingerprint=failure.fingerprint,
        worker=_newest(rows, "worker"),
        wait_ms=_newest(rows, "wait_ms", None),
        run_ms=_newest(rows, "run_ms", None),
        enriched=all(row.enriched for row in events),
        data=_newest(rows, "data"),
        result=_newest(rows, "result"),
        progress=_newest(rows, "progress"),
        parent=_newest(rows, "parent"),
        parent_job=parent_of(names["source"], _newest(rows, "parent")),
        children=children,
        markers=markers,
        scheduler=_newest(rows, "scheduler"),
        runs=runs,
        attempts=attempts_of(events),
        timeline=list(rows),
        logs=sorted((row for row in rows if row.kind == "log"), key=lambda row: row.line),
        is_cut=is_cut,
        as_of=as_of,
        coverage=coverage,
    )
