"""The list of jobs: which ones, as their newest events tell, and what is known of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from logsvc.api.journal import DAY, MINUTE, Journal, Range, Where, window_starts
from logsvc.api.runs import AT, RUN, SEEN, TELLS_NAME, TELLS_STATE
from logsvc.api.text import hits
from logsvc.cursors import JobKey
from logsvc.schema.words import SearchIndex
from logsvc.search import Term
from logsvc.storable import TOO_LATE_MS
from tocsin.times import rfc3339, rfc3339_or_none

# Jobs with an event in the window are the only ones whose newest event can be in it. Where states are asked for, that
# event tells one of them, or tells no state.
CHANGED = "kind = 'event' AND job_id != '' AND {where} AND {told} AND ts >= {{window:Int64}} AND ts < {{top:Int64}}"

# How far back the events of these jobs reach: to when the first was added. A job that nobody knows when it was added,
# or that says it was added after an event that does not, or after its last, may reach back to the bottom of all. And
# which jobs, if they are few.
REACH = f"""
SELECT min(if(first = 0 OR first > least(newest, unknown), {{{{bottom:Int64}}}}, first)) AS reach,
    groupUniqArray({{{{few:UInt32}}}})(job_id) AS ids
FROM
(
    SELECT job_id, minIf(added_at, added_at > 0) AS first, max(ts) AS newest,
        min(if(added_at = 0, ts, {TOO_LATE_MS})) AS unknown
    FROM journal WHERE {CHANGED} GROUP BY source, queue, job_id
)
"""

# Which jobs, and in which order: as few columns as that takes. Innermost: each run of a job that changed in the window,
# with everything since `earliest`: its state, its name and the text sought may stand in rows older than the window; of
# the text each word may stand in another row, log lines among them.
# Rows that do not know their run come one by one (seen), and then join one of the same id: unknown_at.
WHICH = f"""
SELECT source, queue, job_id, run, bitShiftRight(max(last), 20) AS last_ts,
    argMax(a_state, state_at) AS last_state, argMax(a_name, name_at) AS last_name,
    groupArrayIf(seen, added_at = 0) AS unknown_at{{any}}
FROM
(
    SELECT *,
        groupUniqArray(added_at) OVER (PARTITION BY source, queue, job_id) AS every,
        arrayReverseSort(arrayFilter(added -> added > 0, every)) AS known,
        {RUN.format(ts="seen")} AS run
    FROM
    (
        SELECT source, queue, job_id, added_at, {SEEN} AS seen, maxIf({AT}, kind = 'event') AS last,
            argMaxIf(state, {AT}, {TELLS_STATE}) AS a_state, maxIf({AT}, {TELLS_STATE}) AS state_at,
            argMaxIf(job_name, {AT}, {TELLS_NAME}) AS a_name, maxIf({AT}, {TELLS_NAME}) AS name_at{{hits}}
        FROM journal
        WHERE kind IN {{{{kinds:Array(String)}}}} AND job_id != '' AND {{where}}
            AND ts >= {{{{earliest:Int64}}}} AND ts < {{{{latest:Int64}}}}
            AND {{among}}
        GROUP BY source, queue, job_id, added_at, seen
    )
)
GROUP BY source, queue, job_id, run
HAVING last_ts >= {{{{window:Int64}}}} AND {{having}}
ORDER BY last_ts DESC, source DESC, queue DESC, job_id DESC, run DESC
LIMIT {{{{most:UInt32}}}}
"""

AMONG = f"(source, queue, job_id) IN (SELECT source, queue, job_id FROM journal WHERE {CHANGED})"
AMONG_FEW = "job_id IN {ids:Array(String)}"

# When jobs ended, by the quarter of an hour, newest first.
ENDED = """
SELECT intDiv(ts, 900000) AS quarter, countIf(event = 'completed') AS completed, countIf(event = 'failed') AS failed
FROM journal
WHERE intDiv(ts, 900000) >= {{first:Int64}} AND intDiv(ts, 900000) <= {{last:Int64}} AND {where}
GROUP BY quarter
ORDER BY quarter DESC
"""
QUARTER = 15 * MINUTE

# What is known of them, for one page of jobs at most.
WHAT = f"""
SELECT source, queue, job_id, added_at, {SEEN} AS seen,
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
GROUP BY source, queue, job_id, added_at, seen
"""


FEW_JOBS = 2_000
"""Up to so many are picked by their ids."""


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


@dataclass(frozen=True)
class Wanted:
    """Which jobs are asked for. where: the sets of env, source and queue. after: the last job already told."""

    where: Where
    asked: Range
    states: Sequence[str] = ()
    names: Sequence[str] = ()
    job_ids: Sequence[str] = ()
    terms: tuple[Term, ...] = ()
    after: JobKey | None = None


@dataclass(frozen=True)
class Listed:
    """One page. next: the place to go on after, None at the end."""

    items: list[JobItem]
    next: JobKey | None


async def newest_jobs(journal: Journal, wanted: Wanted, limit: int, since: int | None) -> Listed:
    """The most lately changed jobs, as they were at the end of the time asked for; looks ever further back for them.

    Where no end is asked for, the pages after the first tell them as they were at the first: a job that changes
    meanwhile would move to where those have passed already.
    """
    if since is None:
        return Listed([], None)
    now, pinned = journal.now_ms(), wanted.after.latest if wanted.after is not None else 0
    latest = wanted.asked.latest if wanted.asked.latest is not None else pinned or TOO_LATE_MS
    top = latest if wanted.after is None else min(latest, wanted.after.ts + 1)
    bottom = max(since, wanted.asked.earliest or 0)
    having = _conditions(wanted)
    texts = hits(having, wanted.terms, journal.search_index)
    where, windows = wanted.where.copy(), window_starts(min(top, now), bottom)
    if wanted.job_ids:
        where.add("job_id IN {job_id:Array(String)}", job_id=list(wanted.job_ids))
    few = await _few_jobs(journal, where, wanted.terms, bottom, latest)
    if few is not None:
        where, windows = where.add("job_id IN {rare:Array(String)}", rare=few), [bottom]
    elif not wanted.job_ids:
        windows = await _begin_where_it_is_likely(journal, wanted, limit, windows, top)
    parts = {
        "where": where,
        "told": "state IN {told:Array(String)}" if wanted.states else "1",
        "having": having,
        "hits": "".join(f", max({hit}) AS hit{number}" for number, hit in enumerate(texts)),
        "any": "".join(f", max(hit{number}) AS any{number}" for number in range(len(texts))),
    }
    having.parameters |= {"kinds": ["event", "log"] if texts else ["event"], "told": [*wanted.states, "unknown"]}
    found: list[dict[str, Any]] = []
    reach = bottom
    for window in windows:
        look = where.copy()
        look.parameters |= having.parameters
        look.parameters |= {"window": window, "top": top, "bottom": bottom, "latest": latest, "most": limit + 1}
        reach, ids = await _reach(journal, parts, look, bottom)
        look.parameters["earliest"], among = reach, AMONG.format(**parts)
        if len(ids) <= FEW_JOBS:
            look.parameters["ids"], among = ids, AMONG_FEW
        found = await journal.ask(WHICH.format(**parts, among=among), look)
        if len(found) > limit:
            break
    items = await _told(journal, found[:limit], reach)
    if len(found) <= limit:
        return Listed(items, None)
    return Listed(items, _key(found[limit - 1], pinned or max(now, int(found[0]["last_ts"]) + 1)))


async def _few_jobs(
    journal: Journal, where: Where, terms: Sequence[Term], earliest: int, latest: int
) -> list[str] | None:
    """The ids of all jobs that a rare word leaves, told by the index of words; None = too many, or unknown."""
    if journal.search_index is not SearchIndex.TEXT:
        return None
    wanted = [one for one in terms if one.is_wanted]
    for term in sorted(wanted, key=lambda one: (not one.is_whole, -len(one.text))):
        look = where.copy().add("ts >= {earliest:Int64} AND ts < {latest:Int64}")
        look.parameters |= {"earliest": earliest, "latest": latest, "most": FEW_JOBS + 1}
        look.add(hits(look, [term], journal.search_index)[0])
        found = await journal.ask(
            f"SELECT DISTINCT job_id FROM journal WHERE job_id != '' AND {look} LIMIT {{most:UInt32}}", look, rows=True
        )
        if len(found) <= FEW_JOBS:
            return [str(row["job_id"]) for row in found]
    return None


def _conditions(wanted: Wanted) -> Where:
    """The conditions on a whole run."""
    having = Where()
    for number, term in enumerate(wanted.terms):
        having.add(f"any{number}" if term.is_wanted else f"NOT any{number}")
    if wanted.states:
        having.add("last_state IN {state:Array(String)}", state=list(wanted.states))
    if wanted.names:
        having.add("last_name IN {name:Array(String)}", name=list(wanted.names))
    if wanted.after is not None:
        having.add(
            "(last_ts, source, queue, job_id, run) < "
            "({a_ts:Int64}, {a_source:String}, {a_queue:String}, {a_job:String}, {a_run:Int64})",
            a_ts=wanted.after.ts,
            a_source=wanted.after.source,
            a_queue=wanted.after.queue,
            a_job=wanted.after.job_id,
            a_run=wanted.after.added_at,
        )
    return having


async def _reach(journal: Journal, parts: Mapping[str, Any], look: Where, bottom: int) -> tuple[int, list[str]]:
    """Where the oldest event of the jobs in this window may be, a day earlier, for clocks differ; and the jobs' ids.

    More than FEW_JOBS ids are not all of them.
    """
    look.parameters["few"] = FEW_JOBS + 1
    found = await journal.ask(REACH.format(**parts), look)
    return max(bottom, int(found[0]["reach"]) - DAY), [str(one) for one in found[0]["ids"]]


async def _begin_where_it_is_likely(
    journal: Journal, wanted: Wanted, limit: int, windows: list[int], top: int
) -> list[int]:
    """The windows without those that cannot hold a page, as counts of jobs that ended tell. A guess: others follow."""
    kinds = [state for state in wanted.states if state in ("completed", "failed")]
    if not kinds or len(kinds) < len(wanted.states):
        return windows
    look = wanted.where.copy()
    look.parameters |= {"first": windows[-1] // QUARTER, "last": top // QUARTER}
    count = 0
    for row in await journal.ask(ENDED.format(where=look), look):
        count += sum(int(row[kind]) for kind in kinds)
        if count > limit:
            start = max(int(row["quarter"]) * QUARTER, windows[-1])
            return [start, *(window for window in windows if window < start)]
    return windows[-1:]


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
    items: list[JobItem] = []
    for row in which:
        # The run may be known from log lines alone, and its events be those that do not know it.
        own = {(int(row["run"]), 0), *((0, int(seen)) for seen in row["unknown_at"])}
        told = parts.get((row["source"], row["queue"], row["job_id"]), [])
        if mine := [
            part for part in told if (int(part["added_at"]), int(part["seen"])) in own
        ]:  # or its days just went
            items.append(_item(row, mine))
    return items


def _item(row: dict[str, Any], mine: Sequence[dict[str, Any]]) -> JobItem:
    """One job of what was found by its run and, where that was unknown, by id alone."""
    newest = max(mine, key=lambda part: int(part["last"]))
    error, error_type, fingerprint = max(mine, key=lambda part: int(part["failed_at"]))["a_failure"]
    worker, wait_ms, run_ms = newest["a_work"]
    return JobItem(
        env=newest["a_env"],
        source=row["source"],
        queue=row["queue"],
        job_id=row["job_id"],
        job_name=row["last_name"],
        added_at=rfc3339_or_none(int(row["run"])),
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


def _key(row: dict[str, Any], latest: int) -> JobKey:
    """A job's place in the list, of the integers themselves: not every one of them can be written as a time."""
    names = str(row["source"]), str(row["queue"]), str(row["job_id"])
    return JobKey(int(row["last_ts"]), *names, int(row["run"]), latest)
