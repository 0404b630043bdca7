"""`GET /api/v1/jobs` and `/jobs/{source}/{queue}/{job_id}`: jobs as their events tell, whatever Redis has forgotten."""

import asyncio
from typing import Annotated, Any
from urllib.parse import unquote

from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from logsvc.api.answers import (
    ANY_NAME,
    HISTORY,
    Coverage,
    CursorText,
    FromTime,
    Limit,
    Names,
    Page,
    Segment,
    States,
    Text,
    ToTime,
    refusals,
    refuse_unknown,
)
from logsvc.api.job import MOST_TIMELINE_ROWS, ONE, Job, children_of, job_of, runs_of
from logsvc.api.job_list import JobItem, Wanted, newest_jobs
from logsvc.api.journal import Journal, Range, Where, sets, time_range
from logsvc.api.markers import markers_between
from logsvc.attempts import run_of
from logsvc.cursors import JobKey, pack, unpack
from logsvc.rows import row_of
from logsvc.search import parse
from logsvc.sets import values
from logsvc.times import parse_time

KNOWN = ("env", "source", "queue", "state", "name", "id", "q", "from", "to", "cursor", "limit")


def jobs_routes(journal: Journal) -> list[HTTPRouteHandler]:
    """The routes, bound to a journal."""

    @get(
        "/api/v1/jobs",
        summary="Jobs by their newest state, the most lately changed first",
        responses=refusals(*HISTORY),
    )
    async def jobs(
        request: Request[Any, Any, Any],
        env: Names = None,
        source: Names = None,
        queue: Names = None,
        states: States = None,
        name: Names = None,
        job_id: Annotated[list[str] | None, QueryParameter(name="id", description=ANY_NAME)] = None,
        text: Text = None,
        start: FromTime = None,
        end: ToTime = None,
        cursor: CursorText = None,
        limit: Limit = 100,
    ) -> Page[JobItem]:
        refuse_unknown(request, KNOWN)
        places = {"env": env, "source": source, "queue": queue}
        wanted = Wanted(
            sets(places),
            time_range(start, end),
            values("state", states),
            values("name", name),
            values("job_id", job_id),
            parse(text),
            unpack(JobKey, cursor) if cursor else None,
        )
        since = await journal.since()
        page = await newest_jobs(journal, wanted, limit, since)
        return Page(
            items=page.items,
            next_cursor=pack(page.next) if page.next else None,
            as_of=journal.as_of(),
            coverage=await journal.coverage(wanted.asked, sets(places), since),
        )

    @get(
        "/api/v1/jobs/{source:str}/{queue:str}/{job_id:str}",
        summary="One job: attempts, timeline, logs",
        responses=refusals(*HISTORY, 404),
    )
    async def job(
        request: Request[Any, Any, Any],
        source: Segment,
        queue: Segment,
        job_id: Segment,
        added_at: Annotated[
            str | None, QueryParameter(name="added_at", description="Which run: RFC 3339, or ms. Default: the newest.")
        ] = None,
    ) -> Job:
        refuse_unknown(request, ("added_at",))
        wanted = parse_time("added_at", added_at) if added_at else None
        names = {"source": unquote(source), "queue": unquote(queue), "job_id": unquote(job_id)}
        found, coverage = await asyncio.gather(
            journal.ask(ONE, Where([], {**names, "most": MOST_TIMELINE_ROWS}), rows=True), _coverage(journal, names)
        )
        rows = [row_of(row) for row in reversed(found)]
        runs = run_of(rows)
        chosen = wanted if wanted is not None else max(runs, default=0)
        mine = [row for row, run in zip(rows, runs, strict=True) if run == chosen]
        if not mine:
            raise NotFoundException("no such job in history" if not rows else "no such run of this job in history")
        first, last = parse_time("ts", mine[0].ts), parse_time("ts", mine[-1].ts)
        children, markers = await asyncio.gather(
            children_of(journal, names, mine), markers_between(journal, [mine[0].env], first, last)
        )
        return job_of(
            names,
            chosen,
            mine,
            runs_of(rows, runs),
            len(found) == MOST_TIMELINE_ROWS,
            children,
            markers,
            journal.as_of(),
            coverage,
        )

    return [jobs, job]


async def _coverage(journal: Journal, names: dict[str, str]) -> Coverage:
    place = sets({"source": [names["source"]], "queue": [names["queue"]]})
    return await journal.coverage(Range(None, None), place, await journal.since())
