"""`GET /api/v1/backlog`: how full queues were over time, as their snapshots tell.

A queue is written down when it changes and at least once a minute: a bucket has the last that was seen in it, of how
long the oldest job had waited the most. A bucket in which nobody looked says null, never 0.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from logsvc.api.answers import HISTORY, Coverage, FromTime, Names, ToTime, refusals, refuse_unknown
from logsvc.api.buckets import cut
from logsvc.api.journal import DAY, Journal, Range, closed, sets, time_range
from logsvc.api.markers import Marker, markers_of
from logsvc.times import rfc3339

LEAST_SECONDS = 120
"""A snapshot a minute, a little late now and then: so every bucket has one while the queue is watched."""

ASK = """
SELECT bucket, sum(waiting) AS waiting, sum(active) AS active, sum(delayed) AS delayed, sum(failed) AS failed,
    max(oldest) AS oldest
FROM
(
    SELECT intDiv(ts, {{width:Int64}}) * {{width:Int64}} AS bucket,
        argMax(waiting + prioritized, ts) AS waiting, argMax(active, ts) AS active, argMax(delayed, ts) AS delayed,
        argMax(failed, ts) AS failed, max(oldest_waiting_seconds) AS oldest
    FROM queue_snapshots
    WHERE ts >= {{start:Int64}} AND ts < {{end:Int64}} AND {where}
    GROUP BY env, source, queue, bucket
)
GROUP BY bucket
"""


class BacklogBucket(msgspec.Struct):
    """How many jobs there were in the time from ts on; null = nobody looked. waiting: prioritized ones too."""

    ts: str
    waiting: int | None = None
    active: int | None = None
    delayed: int | None = None
    failed: int | None = None
    oldest_waiting_seconds: float | None = None


class Backlog(msgspec.Struct, kw_only=True):
    """Every bucket from `from` to `to`; both ends were moved to where a bucket ends."""

    items: list[BacklogBucket]
    bucket_seconds: int
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    markers: list[Marker]
    next_cursor: None = None
    as_of: str | None
    coverage: Coverage


def backlog_routes(journal: Journal) -> list[HTTPRouteHandler]:
    """The route, bound to a journal."""

    @get("/api/v1/backlog", summary="How full queues were, over time", responses=refusals(*HISTORY))
    async def backlog(
        request: Request[Any, Any, Any],
        env: Names = None,
        source: Names = None,
        queue: Names = None,
        start: FromTime = None,
        end: ToTime = None,
        bucket: Annotated[
            int | None,
            Parameter(ge=LEAST_SECONDS, le=86_400, description="Seconds of one bucket; default: what fits."),
        ] = None,
    ) -> Backlog:
        refuse_unknown(request, ("env", "source", "queue", "from", "to", "bucket"))
        places = sets({"env": env, "source": source, "queue": queue})
        as_of = journal.as_of()
        asked, since = time_range(start, end), await journal.since()
        buckets = cut(*closed(asked, since, journal.now_ms(), usually=DAY), bucket, least=LEAST_SECONDS)
        where = places.copy()
        where.parameters |= {"start": buckets.start, "end": buckets.end, "width": buckets.width}
        found = {int(row["bucket"]): row for row in await journal.ask(ASK.format(where=places), where)}
        return Backlog(
            items=[_told(ts, found.get(ts)) for ts in buckets.starts],
            bucket_seconds=buckets.width // 1000,
            start=rfc3339(buckets.start),
            end=rfc3339(buckets.end),
            markers=await markers_of(journal, places, buckets.start, buckets.end),
            as_of=as_of,
            coverage=await journal.coverage(Range(buckets.start, buckets.end), places, since),
        )

    return [backlog]


def _told(ts: int, row: Any) -> BacklogBucket:
    if row is None:
        return BacklogBucket(rfc3339(ts))
    oldest = row["oldest"]
    return BacklogBucket(
        rfc3339(ts),
        waiting=int(row["waiting"]),
        active=int(row["active"]),
        delayed=int(row["delayed"]),
        failed=int(row["failed"]),
        oldest_waiting_seconds=None if oldest is None else float(oldest),
    )
