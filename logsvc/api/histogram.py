"""`GET /api/v1/histogram`: how many rows of which level, state or event, in buckets of time, with the markers.

Counts by the minute are kept with the rows themselves (projection per_minute); a finer bucket, a text or a job is
counted row by row.
"""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from logsvc.api.answers import HISTORY, Coverage, refusals, refuse_unknown
from logsvc.api.buckets import Buckets, cut
from logsvc.api.journal import DAY, MINUTE, Journal, Range, Where, closed
from logsvc.api.logs import FILTER, FILTERED, Wanted
from logsvc.api.markers import Marker, markers_of
from logsvc.api.text import add_search
from tocsin.times import rfc3339

BY_MINUTE = ("env", "service", "source", "queue", "kind", "event", "state", "level")
"""What the counts by the minute are told apart by."""


class By(StrEnum):
    """What a bucket's rows are told apart by. "" counts as `none`: a log line has no state and no event."""

    LEVEL = "level"
    STATE = "state"
    EVENT = "event"


class Bucket(msgspec.Struct):
    """ts: where it begins. counts: rows, by what was asked; what is not there is 0. lost: events that nobody read."""

    ts: str
    total: int
    counts: dict[str, int]
    lost: int


class Histogram(msgspec.Struct, kw_only=True):
    """Every bucket from `from` to `to`, empty ones too; both ends were moved to where a bucket ends."""

    items: list[Bucket]
    by: By
    bucket_seconds: int
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    total: int
    markers: list[Marker]
    next_cursor: None = None
    as_of: str | None
    coverage: Coverage


def histogram_routes(journal: Journal) -> list[HTTPRouteHandler]:
    """The route, bound to a journal."""

    @get(
        "/api/v1/histogram",
        summary="Counts over time, by level, state or event",
        dependencies=FILTERED,
        responses=refusals(*HISTORY),
    )
    async def histogram(
        request: Request[Any, Any, Any],
        wanted: Wanted,
        by: Annotated[By, Parameter(description="What to tell the rows of a bucket apart by.")] = By.LEVEL,
        bucket: Annotated[
            int | None,
            Parameter(ge=1, le=86_400, description="Seconds of one bucket; default: what fits."),
        ] = None,
    ) -> Histogram:
        refuse_unknown(request, (*FILTER, "by", "bucket"))
        as_of = journal.as_of()
        since = await journal.since()
        buckets = cut(*closed(wanted.asked, since, journal.now_ms(), usually=DAY), bucket)
        fine = add_search(wanted.fine.copy(), wanted.terms, journal.search_index)
        counted = await counts(journal, wanted.coarse, fine, buckets, by)
        items = [
            Bucket(rfc3339(ts), sum(found.values()), found, lost)
            for ts, (found, lost) in ((ts, counted.get(ts, ({}, 0))) for ts in buckets.starts)
        ]
        return Histogram(
            items=items,
            by=by,
            bucket_seconds=buckets.width // 1000,
            start=rfc3339(buckets.start),
            end=rfc3339(buckets.end),
            total=sum(item.total for item in items),
            markers=await markers_of(journal, wanted.places, buckets.start, buckets.end),
            as_of=as_of,
            coverage=await journal.coverage(Range(buckets.start, buckets.end), wanted.places, since),
        )

    return [histogram]


async def counts(
    journal: Journal, coarse: Where, fine: Where, buckets: Buckets, by: By
) -> dict[int, tuple[dict[str, int], int]]:
    """By bucket: rows by word, and events lost. coarse: conditions on BY_MINUTE alone; fine: any others."""
    where = Where([*coarse.clauses, *fine.clauses], coarse.parameters | fine.parameters)
    where.parameters |= {"start": buckets.start, "end": buckets.end, "width": buckets.width}
    if buckets.is_of_minutes and not fine.clauses:
        where.add("intDiv(ts, 60000) >= {first:Int64} AND intDiv(ts, 60000) < {after:Int64}")
        where.parameters |= {"first": buckets.start // MINUTE, "after": buckets.end // MINUTE}
        bucket = "intDiv(intDiv(ts, 60000), intDiv({width:Int64}, 60000)) * {width:Int64}"
    else:
        where.add("ts >= {start:Int64} AND ts < {end:Int64}")
        bucket = "intDiv(ts, {width:Int64}) * {width:Int64}"
    found = await journal.ask(
        f"SELECT {bucket} AS bucket, {by} AS word, count() AS n, sum(lost) AS gone FROM journal WHERE {where}"
        " GROUP BY bucket, word",
        where,
    )
    told: dict[int, tuple[dict[str, int], int]] = {}
    for row in found:
        words, lost = told.get(int(row["bucket"]), ({}, 0))
        words[str(row["word"]) or "none"] = int(row["n"])
        told[int(row["bucket"])] = (words, lost + int(row["gone"]))
    return told
