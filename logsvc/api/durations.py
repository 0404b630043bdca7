"""`GET /api/v1/durations`: how long jobs waited and ran, how many, and how many failed, over time and by queue.

Counts and quantiles are kept with the rows by the minute (projection durations): exact to the minute, quantiles to 1 %.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from logsvc.api.answers import HISTORY, Coverage, FromTime, Names, ToTime, refusals, refuse_unknown
from logsvc.api.buckets import Buckets, cut
from logsvc.api.journal import DAY, MINUTE, Journal, Where, closed, sets, time_range
from logsvc.api.markers import Marker, markers_between
from logsvc.times import rfc3339

MOST_QUEUES = 1_000
TREND = 24

# The projection's own functions; `key` is made of its own expressions.
ASK = """
SELECT {key} AS key,
    sum(n) AS events, sumIf(n, event = 'completed') AS done, sumIf(n, event = 'failed') AS failed,
    sumIf(n, state = 'retrying') AS retried, sumIf(n, event = 'added') AS added
FROM
(
    SELECT intDiv(ts, 60000) AS minute, env, source, queue, event, state, count() AS n FROM journal
    WHERE {where}
    GROUP BY intDiv(ts, 60000), env, source, queue, event, state
)
GROUP BY key
ORDER BY events DESC, key
LIMIT {{most:UInt32}}
"""

TIMES = """
SELECT {key} AS key,
    count(run_ms) AS run_n, sum(run_ms) AS run_sum, max(run_ms) AS run_max,
    quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99)(run_ms) AS run_q,
    count(wait_ms) AS wait_n, sum(wait_ms) AS wait_sum, max(wait_ms) AS wait_max,
    quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99)(wait_ms) AS wait_q
FROM journal
WHERE {where}
GROUP BY key
"""


class Times(msgspec.Struct):
    """Milliseconds; null = of none. count: attempts that ran, or waits that ended, whose length is known."""

    count: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: int | None


class Figures(msgspec.Struct, kw_only=True):
    """added, completed, failed: jobs (failed: for good). retried: attempts that failed and were tried again.

    failure_rate: failed / (completed + failed); null = none ended. per_minute: jobs completed in a minute.
    wait: from when a job could have begun to when it did. run: of every attempt.
    """

    added: int
    completed: int
    failed: int
    retried: int
    failure_rate: float | None
    per_minute: float
    wait: Times
    run: Times


class DurationBucket(Figures, kw_only=True):
    """The figures from ts on."""

    ts: str


class QueueFigures(Figures, kw_only=True):
    """The figures of one queue. completed_trend, failed_trend: jobs that ended in each 24th of the time, in order."""

    env: str
    source: str
    queue: str
    completed_trend: list[int]
    failed_trend: list[int]


class Durations(msgspec.Struct, kw_only=True):
    """Figures of the whole time, in buckets of it (empty ones too), and by queue (the busiest 1,000)."""

    items: list[DurationBucket]
    whole: Figures
    queues: list[QueueFigures]
    bucket_seconds: int
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    markers: list[Marker]
    next_cursor: None = None
    as_of: str | None
    coverage: Coverage


def durations_routes(journal: Journal) -> list[HTTPRouteHandler]:
    """The route, bound to a journal."""

    @get(
        "/api/v1/durations",
        summary="Wait and run times, throughput and failure rate, over time and by queue",
        responses=refusals(*HISTORY),
    )
    async def durations(
        request: Request[Any, Any, Any],
        env: Names = None,
        source: Names = None,
        queue: Names = None,
        name: Names = None,
        start: FromTime = None,
        end: ToTime = None,
        bucket: Annotated[
            int | None,
            Parameter(ge=60, le=86_400, multiple_of=60, description="Seconds of one bucket, whole minutes."),
        ] = None,
    ) -> Durations:
        refuse_unknown(request, ("env", "source", "queue", "name", "from", "to", "bucket"))
        places = sets({"env": env, "source": source, "queue": queue})
        asked, since = time_range(start, end), await journal.since()
        buckets = cut(*closed(asked, since, journal.now_ms(), usually=DAY), bucket, least=60)
        where = sets({"env": env, "source": source, "queue": queue, "job_name": name})
        where.add("intDiv(ts, 60000) >= {first:Int64} AND intDiv(ts, 60000) < {after:Int64}")
        where.parameters |= {"first": buckets.start // MINUTE, "after": buckets.end // MINUTE, "most": 2_000}
        part = f"intDiv(intDiv(ts, 60000), {buckets.width // MINUTE})"
        whole = await _figures(journal, "0", "0", where)
        by_time = await _figures(journal, part, part.replace("intDiv(ts, 60000)", "minute"), where)
        where.parameters["most"] = MOST_QUEUES
        by_queue = await _figures(journal, "(env, source, queue)", "(env, source, queue)", where)
        minutes = (buckets.end - buckets.start) / MINUTE
        trends = await _trends(journal, where, buckets)
        return Durations(
            items=[
                DurationBucket(ts=rfc3339(ts), **_told(by_time.get(ts // buckets.width, {}), buckets.width / MINUTE))
                for ts in buckets.starts
            ],
            whole=Figures(**_told(whole.get(0, {}), minutes)),
            queues=[
                QueueFigures(
                    env=key[0],
                    source=key[1],
                    queue=key[2],
                    completed_trend=[done for done, _ in trends.get(key, NOTHING)],
                    failed_trend=[failed for _, failed in trends.get(key, NOTHING)],
                    **_told(row, minutes),
                )
                for key, row in by_queue.items()
            ],
            bucket_seconds=buckets.width // 1000,
            start=rfc3339(buckets.start),
            end=rfc3339(buckets.end),
            markers=await markers_between(journal, env, buckets.start, buckets.end),
            as_of=journal.as_of(),
            coverage=await journal.coverage(asked, places, since),
        )

    return [durations]


async def _figures(journal: Journal, of_times: str, of_counts: str, where: Where) -> dict[Any, Mapping[str, Any]]:
    """By key: counts and times. of_times, of_counts: the key in the words of each of the two questions."""
    counted = await journal.ask(ASK.format(key=of_counts, where=where), where)
    timed = {row["key"]: row for row in await journal.ask(TIMES.format(key=of_times, where=where), where)}
    return {row["key"]: {**timed.get(row["key"], {}), **row} for row in counted}


NOTHING = [(0, 0)] * TREND


async def _trends(journal: Journal, where: Where, buckets: Buckets) -> dict[Any, list[tuple[int, int]]]:
    """By queue: how many jobs completed and failed in each part of the time."""
    first = buckets.start // MINUTE
    part = max(1, -(-(buckets.end - buckets.start) // MINUTE // TREND))
    where.parameters["most"] = MOST_QUEUES * TREND
    key = f"(env, source, queue, intDiv(minute - {first}, {part}))"
    trends: dict[Any, list[tuple[int, int]]] = {}
    for row in await journal.ask(ASK.format(key=key, where=where), where):
        env, source, queue, index = row["key"]
        trend = trends.setdefault((env, source, queue), list(NOTHING))
        trend[index] = int(row["done"]), int(row["failed"])
    return trends


def _told(row: Mapping[str, Any], minutes: float) -> dict[str, Any]:
    done, failed = int(row.get("done", 0)), int(row.get("failed", 0))
    return {
        "added": int(row.get("added", 0)),
        "completed": done,
        "failed": failed,
        "retried": int(row.get("retried", 0)),
        "failure_rate": failed / (done + failed) if done + failed else None,
        "per_minute": round(done / minutes, 3),
        "wait": _times(row, "wait"),
        "run": _times(row, "run"),
    }


def _times(row: Mapping[str, Any], what: str) -> Times:
    count = int(row.get(f"{what}_n", 0))
    if not count:
        return Times(0, None, None, None, None, None, None)
    p50, p90, p95, p99 = (round(float(value), 1) for value in row[f"{what}_q"])
    mean = round(int(row[f"{what}_sum"]) / count, 1)
    return Times(count, mean, p50, p90, p95, p99, int(row[f"{what}_max"]))
