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
from logsvc.api.job import Found, Job, children_of, find_run, job_of, state_of
from logsvc.api.job_list import JobItem, Wanted, newest_jobs
from logsvc.api.journal import Journal, Range, sets, time_range
from logsvc.api.markers import markers_between
from logsvc.cursors import JobKey, pack, unpack
from logsvc.filters import values
from logsvc.search import parse
from logsvc.times import parse_time

KNOWN = ("env", "source", "queue", "state", "name", "id", "q", "from", "to", "cursor", "limit")

ENDED = ("completed", "failed", "removed")


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
        as_of = journal.as_of()
        since = await journal.since()
        page = await newest_jobs(journal, wanted, limit, since)
        return Page(
            items=page.items,
            next_cursor=pack(page.next) if page.next else None,
            as_of=as_of,
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
        as_of = journal.as_of()
        found = await find_run(journal, names, wanted)
        if not found.rows:
            raise NotFoundException("no such run of this job in history" if found.runs else "no such job in history")
        first, last = parse_time("ts", found.rows[0].ts), parse_time("ts", found.rows[-1].ts)
        children, markers, coverage = await asyncio.gather(
            children_of(journal, names, found.rows),
            markers_between(journal, [found.rows[0].env], first, last),
            _coverage(journal, names, found),
        )
        return await asyncio.to_thread(job_of, names, found, children, markers, as_of, coverage)

    return [jobs, job]


async def _coverage(journal: Journal, names: dict[str, str], found: Found) -> Coverage:
    """Of the queue while the job lived: up to now, if it has not ended as far as is told."""
    first, last = parse_time("ts", found.rows[0].ts), parse_time("ts", found.rows[-1].ts)
    lived = Range(min(first, found.added_at or first), last + 1 if state_of(found.rows) in ENDED else None)
    place = sets({"source": [names["source"]], "queue": [names["queue"]]})
    return await journal.coverage(lived, place, await journal.since())
