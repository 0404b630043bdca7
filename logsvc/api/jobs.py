"""`GET /api/v1/jobs` and `/jobs/{source}/{queue}/{job_id}`: jobs as their events tell, whatever Redis has forgotten."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter, QueryParameter

from logsvc.api.answers import (
    Coverage,
    CursorText,
    FromTime,
    Limit,
    Page,
    States,
    Text,
    ToTime,
    Words,
    refuse_unknown,
    values,
)
from logsvc.api.journal import Journal, Range, Where, sets, text_clause, time_range, window_starts
from logsvc.attempts import Attempt, attempts_of, run_of
from logsvc.cursors import JobKey, pack, unpack
from logsvc.rows import COLUMNS, Row, row_of
from logsvc.times import parse_time, rfc3339, rfc3339_or_none

KNOWN = ("env", "source", "queue", "state", "name", "id", "q", "from", "to", "cursor", "limit")
MOST_TIMELINE_ROWS = 20_000

# `at` orders a job's events in one number: ms, then Kafka's order within one (a job's events share a partition).
AT = "bitShiftLeft(ts, 20) + bitAnd(kafka_offset, 1048575)"

# Which jobs, and in which order: as few columns as that takes. Innermost: each run's newest event in the window. Then
# rows that do not know their run (added_at 0: the hash was gone) join the newest run of the same id.
WHICH = f"""
SELECT source, queue, job_id, run, bitShiftRight(max(last), 20) AS last_ts,
    argMax(a_state, state_at) AS last_state, argMax(a_name, name_at) AS last_name, max(a_hit) AS any_hit
FROM
(
    SELECT *, if(added_at = 0, max(added_at) OVER (PARTITION BY source, queue, job_id), added_at) AS run
    FROM
    (
        SELECT source, queue, job_id, added_at, max({AT}) AS last,
            argMaxIf(state, {AT}, state != 'unknown') AS a_state, maxIf({AT}, state != 'unknown') AS state_at,
            argMaxIf(job_name, {AT}, job_name != '') AS a_name, maxIf({AT}, job_name != '') AS name_at,
            max({{hit}}) AS a_hit
        FROM journal
        WHERE kind = 'event' AND job_id != '' AND {{where}}
        GROUP BY source, queue, job_id, added_at
    )
)
GROUP BY source, queue, job_id, run
HAVING {{having}}
ORDER BY last_ts DESC, source DESC, queue DESC, job_id DESC, run DESC
LIMIT {{{{most:UInt32}}}}
"""

# A job whose newest state is wanted has had an event of that state: few jobs have, of the rarer ones.
HAS_BEEN = (
    "(source, queue, job_id) IN (SELECT source, queue, job_id FROM journal"
    " WHERE kind = 'event' AND state IN {state:Array(String)} AND ts >= {earliest:Int64})"
)

# What is known of them, for one page of jobs at most.
WHAT = f"""
SELECT source, queue, job_id, added_at,
    max({AT}) AS last,
    argMax(env, {AT}) AS a_env,
    argMax(event, {AT}) AS a_event,
    max(attempt) AS a_attempt,
    max(max_attempts) AS a_max_attempts,
    argMaxIf((error, error_type, fingerprint), {AT}, error != '') AS a_failure,
    maxIf({AT}, error != '') AS failed_at,
    argMax((worker, wait_ms, run_ms), {AT}) AS a_work,
    min(enriched) AS a_enriched
FROM journal
WHERE kind = 'event' AND job_id IN {{ids:Array(String)}} AND source IN {{sources:Array(String)}}
    AND queue IN {{queues:Array(String)}} AND ts >= {{earliest:Int64}} AND ts <= {{latest:Int64}}
GROUP BY source, queue, job_id, added_at
"""

ONE = (
    f"SELECT {COLUMNS} FROM journal WHERE source = {{source:String}} AND queue = {{queue:String}}"
    " AND job_id = {job_id:String} ORDER BY ts DESC, kind, kafka_offset DESC, line DESC LIMIT {most:UInt32}"
)


class JobItem(msgspec.Struct, kw_only=True):
    """A job as of its newest event, at ts. added_at: null = unknown. error: of its newest failure, if it had one."""

    env: str
    source: str
    queue: str
    job_id: str
    job_name: str
    added_at: str | None
    ts: str
    event: str
    state: str
    attempt: int
    max_attempts: int
    error: str
    error_type: str
    fingerprint: str
    worker: str
    wait_ms: int | None
    run_ms: int | None
    enriched: bool


class Run(msgspec.Struct, kw_only=True):
    """One life of a job id: numeric ids begin anew after a queue was obliterated."""

    added_at: str | None
    first_ts: str
    last_ts: str
    state: str


class Job(msgspec.Struct, kw_only=True):
    """One run of a job, with everything known. timeline: events and log lines, oldest first; logs: the lines alone.

    is_cut: the run has more rows than are shown; the newest are.
    """

    env: str
    source: str
    queue: str
    job_id: str
    job_name: str
    added_at: str | None
    ts: str
    event: str
    state: str
    attempt: int
    max_attempts: int
    error: str
    error_type: str
    fingerprint: str
    worker: str
    wait_ms: int | None
    run_ms: int | None
    enriched: bool
    data: str
    result: str
    progress: str
    parent: str
    scheduler: str
    runs: list[Run]
    attempts: list[Attempt]
    timeline: list[Row]
    logs: list[Row]
    is_cut: bool
    as_of: str | None
    coverage: Coverage


def jobs_routes(journal: Journal) -> list[HTTPRouteHandler]:
    """The routes, bound to a journal."""

    @get("/api/v1/jobs", summary="Jobs by their newest state, the most lately changed first")
    async def jobs(
        request: Request[Any, Any, Any],
        env: Words = None,
        source: Words = None,
        queue: Words = None,
        states: States = None,
        name: Words = None,
        job_id: Annotated[str | None, QueryParameter(name="id", description="Job ids separated by commas.")] = None,
        text: Text = None,
        start: FromTime = None,
        end: ToTime = None,
        cursor: CursorText = None,
        limit: Limit = 100,
    ) -> Page[JobItem]:
        refuse_unknown(request, KNOWN)
        places = {"env": env, "source": source, "queue": queue}
        asked = time_range(start, end)
        where = sets({**places, "job_id": job_id})
        hit = text_clause(where, text)
        having = _having(where, states, name, has_text=hit != "1", after=unpack(JobKey, cursor) if cursor else None)
        since = await journal.since()
        top = unpack(JobKey, cursor).ts + 1 if cursor else asked.latest
        found = await _newest_jobs(journal, where, hit, having, asked, limit + 1, since, top)
        return Page(
            items=found[:limit],
            next_cursor=pack(_key(found[limit - 1])) if len(found) > limit else None,
            as_of=journal.as_of(),
            coverage=await journal.coverage(asked, sets(places), since),
        )

    @get("/api/v1/jobs/{source:str}/{queue:str}/{job_id:str}", summary="One job: attempts, timeline, logs")
    async def job(
        request: Request[Any, Any, Any],
        source: Annotated[str, Parameter(description="Percent-encoded.")],
        queue: Annotated[str, Parameter(description="Percent-encoded.")],
        job_id: Annotated[str, Parameter(description="Percent-encoded.")],
        added_at: Annotated[
            str | None, QueryParameter(name="added_at", description="Which run: RFC 3339, or ms. Default: the newest.")
        ] = None,
    ) -> Job:
        refuse_unknown(request, ("added_at",))
        wanted = parse_time("added_at", added_at) if added_at else None
        names = {"source": unquote(source), "queue": unquote(queue), "job_id": unquote(job_id)}
        found = await journal.ask(ONE, Where([], {**names, "most": MOST_TIMELINE_ROWS}))
        rows = [row_of(row) for row in reversed(found)]
        runs = run_of(rows)
        chosen = wanted if wanted is not None else max(runs, default=0)
        mine = [row for row, run in zip(rows, runs, strict=True) if run == chosen]
        if not mine:
            raise NotFoundException("no such job in history" if not rows else "no such run of this job in history")
        coverage = await journal.coverage(Range(None, None), _place(names), await journal.since())
        return _job(names, chosen, mine, _runs(rows, runs), len(found) == MOST_TIMELINE_ROWS, journal.as_of(), coverage)

    return [jobs, job]


def _having(where: Where, state: str | None, name: str | None, *, has_text: bool, after: JobKey | None) -> Where:
    """Conditions on a whole run; their values join those of `where`."""
    having = Where(parameters=where.parameters)
    if states := values("state", state):
        having.add("last_state IN {state:Array(String)}", state=states)
    if names := values("name", name):
        having.add("last_name IN {name:Array(String)}", name=names)
    if has_text:
        having.add("any_hit")
    if after is not None:
        having.add(
            "(last_ts, source, queue, job_id, run) < "
            "({a_ts:Int64}, {a_source:String}, {a_queue:String}, {a_job:String}, {a_run:Int64})",
            a_ts=after.ts,
            a_source=after.source,
            a_queue=after.queue,
            a_job=after.job_id,
            a_run=after.added_at,
        )
    return having


async def _newest_jobs(
    journal: Journal,
    where: Where,
    hit: str,
    having: Where,
    asked: Range,
    limit: int,
    since: int | None,
    top: int | None,
) -> list[JobItem]:
    """Look ever further back until there are enough jobs.

    Each look begins at the newest time asked for, so that a job's newest event is seen and its state is right.
    """
    if since is None:
        return []
    if asked.latest is not None:
        where.add("ts < {latest:Int64}", latest=asked.latest)
    bottom = max(since, asked.earliest or 0)
    start = bottom
    found: list[dict[str, Any]] = []
    for start in window_starts(journal.now_ms() if top is None else top, bottom):
        window = where.copy().add("ts >= {earliest:Int64}", earliest=start)
        window.parameters |= having.parameters | {"earliest": start, "most": limit}
        if "unknown" not in having.parameters.get("state", ["unknown"]):
            window.add(HAS_BEEN)
        found = await journal.ask(WHICH.format(where=window, having=having, hit=hit), window)
        if len(found) >= limit:
            break
    return await _told(journal, found, start)


async def _told(journal: Journal, which: Sequence[dict[str, Any]], earliest: int) -> list[JobItem]:
    """Tell what is known of each of these jobs since `earliest`."""
    if not which:
        return []
    parameters = {
        "ids": [row["job_id"] for row in which],
        "sources": sorted({row["source"] for row in which}),
        "queues": sorted({row["queue"] for row in which}),
        "earliest": earliest,
        "latest": max(int(row["last_ts"]) for row in which),
    }
    parts: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for part in await journal.ask(WHAT, Where([], parameters)):
        parts.setdefault((part["source"], part["queue"], part["job_id"]), []).append(part)
    return [_item(row, parts[row["source"], row["queue"], row["job_id"]]) for row in which]


def _item(row: dict[str, Any], parts: Sequence[dict[str, Any]]) -> JobItem:
    """One job of what was found by its run and, where that was unknown, by id alone."""
    run = int(row["run"])
    newest_run = max(int(part["added_at"]) for part in parts)
    mine = [part for part in parts if int(part["added_at"]) == run or (not part["added_at"] and run == newest_run)]
    newest = max(mine, key=lambda part: int(part["last"]))
    error, error_type, fingerprint = max(mine, key=lambda part: int(part["failed_at"]))["a_failure"]
    worker, wait_ms, run_ms = newest["a_work"]
    return JobItem(
        env=newest["a_env"],
        source=row["source"],
        queue=row["queue"],
        job_id=row["job_id"],
        job_name=row["last_name"],
        added_at=rfc3339_or_none(run),
        ts=rfc3339(int(row["last_ts"])),
        event=newest["a_event"],
        state=row["last_state"] or "unknown",
        attempt=max(int(part["a_attempt"]) for part in mine),
        max_attempts=max(int(part["a_max_attempts"]) for part in mine),
        error=error,
        error_type=error_type,
        fingerprint=fingerprint,
        worker=worker,
        wait_ms=wait_ms,
        run_ms=run_ms,
        enriched=all(part["a_enriched"] for part in mine),
    )


def _key(item: JobItem) -> JobKey:
    run = parse_time("added_at", item.added_at) if item.added_at else 0
    return JobKey(parse_time("ts", item.ts), item.source, item.queue, item.job_id, run)


def _place(names: dict[str, str]) -> Where:
    clauses = ["source = {source:String}", "queue = {queue:String}"]
    return Where(clauses, {"source": names["source"], "queue": names["queue"]})


def _runs(rows: Sequence[Row], runs: Sequence[int]) -> list[Run]:
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


def _job(
    names: dict[str, str],
    added_at: int,
    rows: Sequence[Row],
    runs: list[Run],
    is_cut: bool,
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
        scheduler=_newest(rows, "scheduler"),
        runs=runs,
        attempts=attempts_of(events),
        timeline=list(rows),
        logs=sorted((row for row in rows if row.kind == "log"), key=lambda row: row.line),
        is_cut=is_cut,
        as_of=as_of,
        coverage=coverage,
    )
