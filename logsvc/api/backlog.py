"""`GET /api/v1/backlog`: how full queues were over time, as their snapshots tell.

A queue is written down when it changes and at least once a minute: a bucket has the last that was seen in it, of how
long the oldest job had waited the most. A bucket in which nobody looked, or not at every queue, says null: never 0, and
never a part for the whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from logsvc.api.answers import HISTORY, Coverage, FromTime, Names, ToTime, refusals, refuse_unknown
from logsvc.api.buckets import Buckets, cut
from logsvc.api.journal import DAY, HOUR, MINUTE, Journal, Range, Where, closed, sets, time_range
from logsvc.api.markers import Marker, markers_of
from tocsin.times import rfc3339, rfc3339_or_none

LEAST_SECONDS = 120
"""A snapshot a minute, a little late now and then: so every bucket has one while the queue is watched."""

# By bucket the sums, and by queue when it was first and last seen.
ASK = """
SELECT grouping(queue) = 0 AS is_queue, bucket, env, source, queue,
    count() AS queues, min(at) AS first, max(at) AS last,
    sum(waiting) AS waiting, sum(active) AS active, sum(delayed) AS delayed, sum(failed) AS failed,
    max(oldest) AS oldest
FROM
(
    SELECT env, source, queue, intDiv(ts, {{width:Int64}}) * {{width:Int64}} AS bucket, bucket AS at,
        argMax(waiting + prioritized, ts) AS waiting, argMax(active, ts) AS active, argMax(delayed, ts) AS delayed,
        argMax(failed, ts) AS failed, max(oldest_waiting_seconds) AS oldest
    FROM queue_snapshots
    WHERE ts >= {{before:Int64}} AND ts < {{end:Int64}} AND {where}
    GROUP BY env, source, queue, bucket
)
GROUP BY GROUPING SETS ((bucket), (env, source, queue))
"""

# When queues were last said to be gone (a scheduler of theirs, too: the counts by the minute do not tell them apart).
GONE = """
SELECT env, source, queue, max(intDiv(ts, 60000)) AS minute FROM journal
WHERE event = 'gone' AND intDiv(ts, 60000) >= {{first:Int64}} AND intDiv(ts, 60000) < {{after:Int64}} AND {where}
GROUP BY env, source, queue
"""


class BacklogBucket(msgspec.Struct):
    """How many jobs there were in the time from ts on; null = nobody looked. waiting: prioritized ones too.

    queues: how many were seen. missing: how many were not, though they were before, and are not known to be gone; then
    the sums are null too.
    """

    ts: str
    waiting: int | None = None
    active: int | None = None
    delayed: int | None = None
    failed: int | None = None
    oldest_waiting_seconds: float | None = None
    queues: int = 0
    missing: int = 0


class Backlog(msgspec.Struct, kw_only=True):
    """Every bucket from `from` to `to`; both ends were moved to where a bucket ends. The newest one is left out until
    every queue was seen in it, or it is over and stored. as_of: every snapshot up to then is in; null = not known."""

    items: list[BacklogBucket]
    bucket_seconds: int
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    markers: list[Marker]
    next_cursor: None = None
    as_of: str | None
    coverage: Coverage


def backlog_routes(journal: Journal, stored_ms: Callable[[], int | None]) -> list[HTTPRouteHandler]:
    """The route, bound to a journal. stored_ms: up to when all snapshots of queues are stored; None = not known."""

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
        as_of = stored_ms()
        asked, since = time_range(start, end), await journal.since()
        buckets = cut(*closed(asked, since, journal.now_ms(), usually=DAY), bucket, least=LEAST_SECONDS)
        items = await looked_at(journal, places, buckets)
        buckets = without_unfinished(items, buckets, journal.now_ms() if as_of is None else as_of)
        return Backlog(
            items=items[: len(buckets.starts)],
            bucket_seconds=buckets.width // 1000,
            start=rfc3339(buckets.start),
            end=rfc3339(buckets.end),
            markers=await markers_of(journal, places, buckets.start, buckets.end),
            as_of=rfc3339_or_none(as_of),
            coverage=await journal.coverage(Range(buckets.start, buckets.end), places, since),
        )

    return [backlog]


async def looked_at(journal: Journal, places: Where, buckets: Buckets) -> list[BacklogBucket]:
    """Every bucket. Looks back an hour at least, for queues that are away as the time begins."""
    before = buckets.start - -(-HOUR // buckets.width) * buckets.width
    where = places.copy()
    where.parameters |= {"before": before, "end": buckets.end, "width": buckets.width}
    found = await journal.ask(ASK.format(where=places), where)
    queues = [row for row in found if row["is_queue"]]
    gone: Sequence[Mapping[str, Any]] = ()
    if any(int(row["last"]) < buckets.end - buckets.width for row in queues):
        where.parameters |= {"first": before // MINUTE, "after": buckets.end // MINUTE}
        gone = await journal.ask(GONE.format(where=places), where)
    there = _there(queues, {_name(row): int(row["minute"]) * MINUTE for row in gone}, before, buckets)
    sums = {int(row["bucket"]): row for row in found if not row["is_queue"]}
    return [_told(ts, sums.get(ts), there[ts]) for ts in buckets.starts]


def without_unfinished(items: Sequence[BacklogBucket], buckets: Buckets, until: int) -> Buckets:
    """The buckets without the newest ones that cannot be told yet. until: what was seen by then is stored."""
    end = buckets.end
    while end > max(buckets.start, until) and items[(end - buckets.start) // buckets.width - 1].waiting is None:
        end -= buckets.width
    return replace(buckets, end=end)


def _there(
    queues: Sequence[Mapping[str, Any]], gone: Mapping[tuple[str, ...], int], before: int, buckets: Buckets
) -> dict[int, int]:
    """How many queues there were in each bucket: from when one was first seen until it was gone."""
    every = range(before, buckets.end + buckets.width, buckets.width)
    changes = dict.fromkeys(every, 0)
    for row in queues:
        changes[int(row["first"])] += 1
        if gone.get(_name(row), 0) >= int(row["last"]):
            changes[int(row["last"]) + buckets.width] -= 1
    return dict(zip(every, accumulate(changes.values()), strict=True))


def _name(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["env"], row["source"], row["queue"]


def _told(ts: int, row: Mapping[str, Any] | None, there: int) -> BacklogBucket:
    seen = int(row["queues"]) if row else 0
    if row is None or seen < there:
        return BacklogBucket(rfc3339(ts), queues=seen, missing=there - seen)
    oldest = row["oldest"]
    return BacklogBucket(
        rfc3339(ts),
        waiting=int(row["waiting"]),
        active=int(row["active"]),
        delayed=int(row["delayed"]),
        failed=int(row["failed"]),
        oldest_waiting_seconds=None if oldest is None else float(oldest),
        queues=seen,
    )
