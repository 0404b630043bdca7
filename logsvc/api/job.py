"""One job: its runs, and of one run every attempt, the timeline and the log."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from logsvc.api.answers import Coverage
from logsvc.api.attempts import Attempt, attempts_of
from logsvc.api.job_list import JobItem
from logsvc.api.journal import DAY, Journal, Where
from logsvc.api.markers import Marker
from logsvc.api.runs import AT, RUN, TELLS_NAME, TELLS_STATE
from logsvc.api.weight import ANSWER_BYTES, FEW_ROWS, first_rows, fitting, is_cut
from logsvc.rows import COLUMNS, Row, row_of
from logsvc.times import parse_time
from tocsin.times import rfc3339, rfc3339_or_none

MOST_TIMELINE_ROWS = 20_000

MOST_RUNS = 1_000

ROWS = "journal WHERE source = {source:String} AND queue = {queue:String} AND job_id = {job_id:String}"

WITH_RUN = f"""
WITH
    (
        SELECT groupArray(added_at)
        FROM (SELECT DISTINCT added_at FROM {ROWS} AND added_at > 0 ORDER BY added_at DESC LIMIT {MOST_RUNS})
    ) AS known,
    {RUN.format(ts="ts")} AS run
"""

RUNS = f"""{WITH_RUN}
SELECT run, min(ts) AS first_ts, max(ts) AS last_ts, argMaxIf(state, {AT}, {TELLS_STATE}) AS last_state
FROM {ROWS}
GROUP BY run
ORDER BY run DESC
LIMIT {MOST_RUNS}
"""

# Events first: attempts are told whatever the job wrote.
ONE = f"SELECT {COLUMNS} FROM {ROWS} AND run = {{run:Int64}}", "kind, ts DESC, kafka_offset DESC, line DESC"

# Of all job ids only a scheduler's, `repeat:<scheduler>:<ms>`, holds colons; so may the scheduler and the prefix.
_PARENT = re.compile(r".*?:([^:]+):(repeat:.+:\d{10,}|[^:]+)", re.DOTALL)

CHILDREN = f"""
SELECT source, queue, job_id, max(ts) AS last,
    argMaxIf(job_name, {AT}, {TELLS_NAME}) AS a_name, argMaxIf(state, {AT}, {TELLS_STATE}) AS a_state
FROM journal
WHERE kind = 'event' AND source = {{source:String}} AND endsWith(parent, {{key:String}})
    AND ts BETWEEN {{earliest:Int64}} AND {{latest:Int64}}
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

    runs: of the same id, the newest 1,000. is_cut: the run has more rows than are shown, which are its events and then
    the newest lines: 20,000, and about 8 MiB.
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


@dataclass(frozen=True)
class Found:
    """One run of an id. runs: all of them, newest first. rows: of this one, oldest first; none = no such run."""

    runs: Sequence[Run]
    added_at: int
    rows: Sequence[Row]
    is_cut: bool


async def find_run(journal: Journal, names: Mapping[str, str], wanted: int | None) -> Found:
    """A run by its added_at, ms; None = the newest."""
    runs = await journal.ask(RUNS, Where([], dict(names)), rows=True)
    if not runs:
        return Found([], 0, [], is_cut=False)
    run = int(runs[0]["run"]) if wanted is None else wanted
    look = Where([], {**names, "run": run, "most": FEW_ROWS + 1})
    found = await journal.ask(WITH_RUN + first_rows(*ONE), look, rows=True)
    if len(found) > FEW_ROWS:
        look.parameters |= {"most": MOST_TIMELINE_ROWS + 1, "most_bytes": ANSWER_BYTES}
        found = await journal.ask(WITH_RUN + fitting(*ONE), look, rows=True)
    rows = await asyncio.to_thread(_timeline, found[:MOST_TIMELINE_ROWS])
    return Found([_run(row) for row in runs], run, rows, is_cut(found) or len(found) > MOST_TIMELINE_ROWS)


def _timeline(found: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Oldest first; of one ms, what a job wrote before what happened to it."""
    return [
        row_of(row)
        for row in sorted(found, key=lambda row: (row["ts"], row["kind"] == "event", row["kafka_offset"], row["line"]))
    ]


def _run(row: Mapping[str, Any]) -> Run:
    return Run(
        added_at=rfc3339_or_none(int(row["run"])),
        first_ts=rfc3339(int(row["first_ts"])),
        last_ts=rfc3339(int(row["last_ts"])),
        state=row["last_state"] or "unknown",
    )


def _newest(rows: Sequence[Row], name: str, besides: Any = "") -> Any:
    """The newest value of a field of the events that says something."""
    told = (getattr(row, name) for row in reversed(rows) if row.kind == "event")
    return next((value for value in told if value not in ("", None, besides)), besides)


def state_of(rows: Sequence[Row]) -> str:
    """The newest state that its rows tell."""
    return _newest(rows, "state", "unknown")


def parent_of(source: str, parent: str) -> JobName | None:
    """The names in a parent's key, `prefix:queue:id`."""
    found = _PARENT.fullmatch(parent)
    return JobName(source, *found.groups()) if found else None


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
    found: Found,
    children: list[Child],
    markers: list[Marker],
    as_of: str | None,
    coverage: Coverage,
) -> Job:
    rows = found.rows
    events = [row for row in rows if row.kind == "event"]
    last = events[-1] if events else rows[-1]
    failure = next((row for row in reversed(events) if row.error), last)
    return Job(
        **names,
        env=last.env,
        job_name=_newest(rows, "job_name") or last.job_name,
        added_at=rfc3339_or_none(found.added_at),
        ts=last.ts,
        event=last.event,
        state=state_of(rows),
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
        runs=list(found.runs),
        attempts=attempts_of(events),
        timeline=list(rows),
        logs=sorted((row for row in rows if row.kind == "log"), key=lambda row: row.line),
        is_cut=found.is_cut,
        as_of=as_of,
        coverage=coverage,
    )
