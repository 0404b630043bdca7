"""`GET /api/v1/durations`: how long jobs waited and ran, how many, and how many failed, over time and by queue.

Counts and quantiles are kept with the rows by the quarter of an hour (projection quarters); finer buckets and single
job names are counted row by row. Counts are exact, quantiles to 1 %.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from logsvc.api.answers import HISTORY, Coverage, FromTime, Names, ToTime, refusals, refuse_unknown
from logsvc.api.buckets import TREND, Buckets, cut
from logsvc.api.journal import DAY, MINUTE, Journal, Range, Where, closed, sets, time_range
from logsvc.api.markers import Marker, markers_of
from tocsin.times import rfc3339

MOST_QUEUES = 1_000

QUARTER = 15 * MINUTE
KINDS = {0: "whole", 1: "queue", 2: "part"}

# Inside: the projection's own expressions where unit is a quarter of an hour, without what is of no queue (Tocsin's own
# log); those are then merged by time, by queue and all together. kind tells which of these a row is.
ASK = """
SELECT
    multiIf(grouping(part) = 0, 2, grouping(queue) = 0, 1, 0) AS kind,
    part, env, source, queue,
    sum(events) AS events, sum(added) AS added, sum(done) AS done, sum(failed) AS failed, sum(retried) AS retried,
    sum(run_n) AS run_n, sum(run_sum) AS run_sum, max(run_max) AS run_max,
    quantilesBFloat16Merge(0.5, 0.9, 0.95, 0.99)(run_q) AS run_q,
    sum(wait_n) AS wait_n, sum(wait_sum) AS wait_sum, max(wait_max) AS wait_max,
    quantilesBFloat16Merge(0.5, 0.9, 0.95, 0.99)(wait_q) AS wait_q
FROM
(
    SELECT
        intDiv(intDiv(ts, {unit}), {units}) AS part, env, source, queue,
        count() AS events, countIf(event = 'added') AS added, countIf(event = 'completed') AS done,
        countIf(event = 'failed') AS failed, countIf(state = 'retrying') AS retried,
        count(run_ms) AS run_n, sum(run_ms) AS run_sum, max(run_ms) AS run_max,
        quantilesBFloat16State(0.5, 0.9, 0.95, 0.99)(run_ms) AS run_q,
        count(wait_ms) AS wait_n, sum(wait_ms) AS wait_sum, max(wait_ms) AS wait_max,
        quantilesBFloat16State(0.5, 0.9, 0.95, 0.99)(wait_ms) AS wait_q
    FROM journal
    WHERE source != '' AND {where}
    GROUP BY part, env, source, queue
)
GROUP BY GROUPING SETS ((part), (env, source, queue), ())
ORDER BY events DESC, env, source, queue
"""

TRENDS = """
SELECT
    env, source, queue, intDiv(intDiv(ts, {unit}) * {unit} - {{start:Int64}}, {{part:Int64}}) AS part,
    countIf(event = 'completed') AS done, countIf(event = 'failed') AS failed
FROM journal
WHERE {where}
GROUP BY env, source, queue, part
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
    """The figures of one queue.

    completed_trend, failed_trend: jobs that ended in each of up to 24 equal parts of the time, oldest first; the last
    may be shorter.
    """

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
        as_of = journal.as_of()
        asked, since = time_range(start, end), await journal.since()
        buckets = cut(*closed(asked, since, journal.now_ms(), usually=DAY), bucket, least=60)
        where = sets({"env": env, "source": source, "queue": queue, "job_name": name})
        unit, where = _counted(where, buckets, is_coarse=not name)
        found, trends, markers, coverage = await asyncio.gather(
            _figures(journal, where, buckets, unit),
            _trends(journal, where, buckets, unit),
            markers_of(journal, places, buckets.start, buckets.end),
            journal.coverage(Range(buckets.start, buckets.end), places, since),
        )
        nothing: Mapping[str, Any] = {}
        by_time = {int(row["part"]): row for row in found["part"]}
        minutes = (buckets.end - buckets.start) / MINUTE
        return Durations(
            items=[
                DurationBucket(
                    ts=rfc3339(ts), **_told(by_time.get(ts // buckets.width, nothing), buckets.width / MINUTE)
                )
                for ts in buckets.starts
            ],
            whole=Figures(**_told(next(iter(found["whole"]), nothing), minutes)),
            queues=[
                QueueFigures(
                    env=row["env"],
                    source=row["source"],
                    queue=row["queue"],
                    completed_trend=[done for done, _ in trends.get(_queue_of(row), [])],
                    failed_trend=[failed for _, failed in trends.get(_queue_of(row), [])],
                    **_told(row, minutes),
                )
                for row in found["queue"][:MOST_QUEUES]
            ],
            bucket_seconds=buckets.width // 1000,
            start=rfc3339(buckets.start),
            end=rfc3339(buckets.end),
            markers=markers,
            as_of=as_of,
            coverage=coverage,
        )

    return [durations]


def _counted(where: Where, buckets: Buckets, *, is_coarse: bool) -> tuple[int, Where]:
    """In which units of time to count, ms, and which rows. where: all but the time.

    is_coarse: nothing is asked that the counts by the quarter of an hour do not know, unless the buckets are finer.
    """
    if is_coarse and buckets.width % QUARTER == 0:
        time, by = "intDiv(ts, 900000) >= {first:Int64} AND intDiv(ts, 900000) < {after:Int64}", QUARTER
    else:
        time, by = "ts >= {first:Int64} AND ts < {after:Int64}", 1
    return max(by, MINUTE), where.copy().add(time, first=buckets.start // by, after=buckets.end // by)


async def _figures(journal: Journal, where: Where, buckets: Buckets, unit: int) -> dict[str, list[Mapping[str, Any]]]:
    """Counts and times of the whole, of each part of the time and of each queue."""
    told: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in KINDS.values()}
    for row in await journal.ask(ASK.format(unit=unit, units=buckets.width // unit, where=where), where):
        told[KINDS[row["kind"]]].append(row)
    return told


async def _trends(
    journal: Journal, where: Where, buckets: Buckets, unit: int
) -> dict[tuple[str, str, str], list[tuple[int, int]]]:
    """By queue: how many jobs completed and failed in each part of the time."""
    look = where.copy()
    span = buckets.end - buckets.start
    part = unit * -(-span // (TREND * unit))  # of whole units, or parts of the same length would hold more or fewer
    look.parameters |= {"start": buckets.start, "part": part}
    trends: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for row in await journal.ask(TRENDS.format(unit=unit, where=look), look):
        trend = trends.setdefault(_queue_of(row), [(0, 0)] * -(-span // part))
        trend[int(row["part"])] = int(row["done"]), int(row["failed"])
    return trends


def _queue_of(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(row["env"]), str(row["source"]), str(row["queue"])


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
