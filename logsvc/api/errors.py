"""`GET /api/v1/errors` and `/errors/{fingerprint}`: failures that are the same failure, as one."""

from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from logsvc.api.answers import (
    HISTORY,
    Coverage,
    CursorText,
    FromTime,
    Limit,
    Names,
    Page,
    Segment,
    Text,
    ToTime,
    refusals,
    refuse_unknown,
)
from logsvc.api.buckets import cut
from logsvc.api.error_groups import (
    ORDER,
    TEXT,
    ErrorGroup,
    ErrorPlace,
    Sort,
    Span,
    find_groups,
    over_time,
    places_of,
    tell_groups,
)
from logsvc.api.handling import Handling, Incidents
from logsvc.api.journal import DAY, MINUTE, Journal, Range, Where, closed, sets, time_range
from logsvc.api.markers import Marker, markers_between
from logsvc.api.newest import newest_rows
from logsvc.api.text import add_search
from logsvc.cursors import ErrorKey, pack, unpack
from logsvc.errors import BadRequest
from logsvc.rows import Row, row_of
from logsvc.search import parse
from logsvc.times import parse_time
from tocsin.times import rfc3339

KNOWN = ("env", "source", "queue", "q", "from", "to", "sort", "cursor", "limit")
NEWEST = 20


class ErrorBucket(msgspec.Struct):
    """Failures from ts on."""

    ts: str
    failures: int


class ErrorDetail(ErrorGroup, kw_only=True):
    """One group with all that is known of it.

    over_time: failures in buckets of bucket_seconds. newest: the newest failures, with their jobs and stacks.
    markers: of its environments, in the time asked for. marker_before: the last one before it was first seen, which
    may have brought it. handling: who dealt with it last.
    """

    places: list[ErrorPlace]
    bucket_seconds: int
    over_time: list[ErrorBucket]
    newest: list[Row]
    markers: list[Marker]
    marker_before: Marker | None
    handling: Handling
    as_of: str | None
    coverage: Coverage


def errors_routes(journal: Journal, incidents: Incidents) -> list[HTTPRouteHandler]:
    """The routes, bound to a journal and to who knows of incidents."""

    @get("/api/v1/errors", summary="Failures, in groups of one cause", responses=refusals(*HISTORY))
    async def errors(
        request: Request[Any, Any, Any],
        env: Names = None,
        source: Names = None,
        queue: Names = None,
        text: Text = None,
        start: FromTime = None,
        end: ToTime = None,
        sort: Annotated[Sort, Parameter(description="What comes first.")] = Sort.LAST_SEEN,
        cursor: CursorText = None,
        limit: Limit = 50,
    ) -> Page[ErrorGroup]:
        refuse_unknown(request, KNOWN)
        as_of = journal.as_of()
        where = sets({"env": env, "source": source, "queue": queue})
        having = add_search(Where(), parse(text), None, TEXT)
        asked, since = time_range(start, end), await journal.since()
        span = Span.of(*closed(asked, since, journal.now_ms(), usually=DAY))
        if cursor:
            after = unpack(ErrorKey, cursor)
            if after.sort != sort:
                raise BadRequest("cursor: it is of another sort; leave it out to begin anew")
            span = Span(after.first, after.after)
            having.add(
                f"({ORDER[sort]}, fingerprint) < ({{a_value:Int64}}, {{a_fingerprint:String}})",
                a_value=after.value,
                a_fingerprint=after.fingerprint,
            )
        found = await find_groups(journal, where, having, span, ORDER[sort], limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        key = ErrorKey(sort, int(last[ORDER[sort]]), str(last["fingerprint"]), span.first, span.after) if last else None
        return Page(
            items=await tell_groups(journal, where, found[:limit], span),
            next_cursor=pack(key) if key else None,
            as_of=as_of,
            coverage=await journal.coverage(span.range, where, since),
        )

    @get(
        "/api/v1/errors/{fingerprint:str}",
        summary="One group of failures: where, when, which jobs, who handled it",
        responses=refusals(*HISTORY, 404),
    )
    async def error(
        request: Request[Any, Any, Any], fingerprint: Segment, start: FromTime = None, end: ToTime = None
    ) -> ErrorDetail:
        refuse_unknown(request, ("from", "to"))
        as_of = journal.as_of()
        asked, since = time_range(start, end), await journal.since()
        span = Span.of(*closed(asked, since, journal.now_ms(), usually=7 * DAY))
        group = await _one_group(journal, unquote(fingerprint), span)
        if group is None:
            raise NotFoundException("no such failure in the time asked for, or in history")
        return await _detail(journal, incidents, group, span, since, as_of)

    return [errors, error]


async def _one_group(journal: Journal, fingerprint: str, span: Span) -> ErrorGroup | None:
    mine = Where(["fingerprint = {fingerprint:String}"], {"fingerprint": fingerprint})
    found = await find_groups(journal, mine, Where(), span, "until", 1)
    return next(iter(await tell_groups(journal, mine, found, span)), None)


async def _detail(
    journal: Journal, incidents: Incidents, group: ErrorGroup, span: Span, since: int | None, as_of: str | None
) -> ErrorDetail:
    mine = Where(["fingerprint = {fingerprint:String}"], {"fingerprint": group.fingerprint})
    envs = sorted({one.env for one in group.queues})
    buckets = cut(span.first * MINUTE, span.after * MINUTE, None, least=60)
    minutes = Span(buckets.start // MINUTE, buckets.end // MINUTE)
    counted = await over_time(journal, Where(), [group.fingerprint], minutes, buckets.width // MINUTE)
    newest = Range(None, min(parse_time("last_seen", group.last_seen) + 1, span.after * MINUTE))
    earlier = await markers_between(journal, envs, 0, parse_time("first_seen", group.first_seen))
    return ErrorDetail(
        **{name: getattr(group, name) for name in ErrorGroup.__struct_fields__},
        places=await places_of(journal, group.fingerprint, span),
        bucket_seconds=buckets.width // 1000,
        over_time=[
            ErrorBucket(rfc3339(ts), counted.get((group.fingerprint, part), 0))
            for part, ts in enumerate(buckets.starts)
        ],
        newest=[row_of(row) for row in (await newest_rows(journal, mine, newest, None, NEWEST, since)).rows],
        markers=await markers_between(journal, envs, buckets.start, buckets.end),
        marker_before=earlier[-1] if earlier else None,
        handling=await incidents.last_handling(group.fingerprint),
        as_of=as_of,
        coverage=await journal.coverage(span.range, sets({"env": envs}), since),
    )
