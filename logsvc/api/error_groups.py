"""Failures in groups of one fingerprint: how often, since when, where. Counted from the projection `failures`.

A failure is an attempt that failed: one that will be tried again (`delayed` or `waiting`), or the last (`failed`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from logsvc.api.buckets import TREND
from logsvc.api.journal import MINUTE, Journal, Range, Where
from tocsin.times import rfc3339

TEXT = "lowerUTF8(concatWithSeparator('\\n', a_error, a_type, a_name))"
"""What a search of groups looks at."""

AT = "if(empty(fingerprint), 0, intDiv(ts, 60000))"
"""The minute of a failure, as the projection has it."""

# Both steps ask for what the projection holds; the second makes one of events and queues.
GROUPS = f"""
SELECT fingerprint,
    sum(n) AS failures, sumIf(n, event = 'failed') AS finals, min(first_ts) AS since, max(last_ts) AS until,
    argMax(error_, last_ts) AS a_error, argMax(type_, last_ts) AS a_type, argMax(name_, last_ts) AS a_name,
    argMax((source, queue, job_), last_ts) AS a_job,
    arraySlice(arraySort(groupUniqArray((env, source, queue))), 1, 20) AS queues,
    uniqExact(env, source, queue) AS queue_count
FROM
(
    SELECT fingerprint, env, source, queue, event, count() AS n, min(ts) AS first_ts, max(ts) AS last_ts,
        argMax(error, ts) AS error_, argMax(error_type, ts) AS type_, argMax(job_name, ts) AS name_,
        argMax(job_id, ts) AS job_
    FROM journal
    WHERE fingerprint != '' AND {AT} >= {{{{first:Int64}}}} AND {AT} < {{{{after:Int64}}}} AND {{where}}
    GROUP BY fingerprint, env, source, queue, event
)
GROUP BY fingerprint
HAVING {{having}}
ORDER BY {{order}} DESC, fingerprint DESC
LIMIT {{{{most:UInt32}}}}
"""

SEEN = f"""
SELECT fingerprint, min(ts) AS first_ts, max(ts) AS last_ts FROM journal
WHERE fingerprint IN {{fingerprints:Array(String)}} AND {AT} > 0
GROUP BY fingerprint
"""

OVER_TIME = f"""
SELECT fingerprint, intDiv({AT} - {{{{first:Int64}}}}, {{{{part:Int64}}}}) AS part, count() AS n FROM journal
WHERE fingerprint IN {{{{fingerprints:Array(String)}}}} AND {AT} >= {{{{first:Int64}}}}
    AND {AT} < {{{{after:Int64}}}} AND {{where}}
GROUP BY fingerprint, part
"""

PLACES = f"""
SELECT env, source, queue, sum(n) AS failures, sumIf(n, event = 'failed') AS finals, max(last_ts) AS until
FROM
(
    SELECT env, source, queue, event, count() AS n, max(ts) AS last_ts FROM journal
    WHERE fingerprint = {{fingerprint:String}} AND {AT} >= {{first:Int64}}
        AND {AT} < {{after:Int64}}
    GROUP BY env, source, queue, event
)
GROUP BY env, source, queue
ORDER BY failures DESC, env, source, queue
LIMIT 200
"""


class Sort(StrEnum):
    """What comes first: what failed last, what began last, what failed most often, what did so for good."""

    LAST_SEEN = "last_seen"
    FIRST_SEEN = "first_seen"
    FAILURES = "failures"
    FINAL_FAILURES = "final_failures"


ORDER = {Sort.LAST_SEEN: "until", Sort.FIRST_SEEN: "since", Sort.FAILURES: "failures", Sort.FINAL_FAILURES: "finals"}


@dataclass(frozen=True)
class Span:
    """Whole minutes since 1970, `after` not included: what counts by the minute can tell."""

    first: int
    after: int

    @classmethod
    def of(cls, earliest: int, latest: int) -> "Span":
        """The minutes that a range of ms touches."""
        return cls(earliest // MINUTE, max(-(-latest // MINUTE), earliest // MINUTE + 1))

    @property
    def range(self) -> Range:
        """The same in ms."""
        return Range(self.first * MINUTE, self.after * MINUTE)

    @property
    def before(self) -> "Span":
        """As much time right before it."""
        return Span(max(0, 2 * self.first - self.after), self.first)


class QueueName(msgspec.Struct):
    """A queue, by its names."""

    env: str
    source: str
    queue: str


class SampleJob(msgspec.Struct):
    """The job of the newest failure."""

    source: str
    queue: str
    job_id: str


class ErrorGroup(msgspec.Struct, kw_only=True):
    """Failures of one fingerprint in the time asked for, whose ends are moved to whole minutes.

    error, error_type, job_name, sample_job: of the newest. final_failures: those after which nothing was tried.
    failures_before: in as much time right before. first_seen, last_seen: in all of history. is_new: first seen within
    the time asked for. trend: failures in up to 24 equal parts of that time, oldest first.
    queues: twenty at most, of queue_count.
    """

    fingerprint: str
    error: str
    error_type: str
    job_name: str
    sample_job: SampleJob
    failures: int
    final_failures: int
    failures_before: int
    first_seen: str
    last_seen: str
    is_new: bool
    trend: list[int]
    queues: list[QueueName]
    queue_count: int


class ErrorPlace(QueueName):
    """How often it happened in one queue."""

    failures: int
    final_failures: int
    last_seen: str


async def find_groups(
    journal: Journal, where: Where, having: Where, span: Span, order: str, most: int
) -> list[dict[str, Any]]:
    """Groups as the journal tells them. where: of rows, by env, source, queue and fingerprint. having: of groups."""
    given = having.copy()
    given.parameters |= {**where.parameters, "first": span.first, "after": span.after, "most": most}
    return await journal.ask(GROUPS.format(where=where, having=having, order=order), given)


async def tell_groups(
    journal: Journal, where: Where, found: Sequence[Mapping[str, Any]], span: Span
) -> list[ErrorGroup]:
    """The same groups, with what is known of them beyond the time asked for."""
    if not found:
        return []
    fingerprints = [str(row["fingerprint"]) for row in found]
    seen = {row["fingerprint"]: row for row in await journal.ask(SEEN, Where([], {"fingerprints": fingerprints}))}
    part = -(-(span.after - span.first) // TREND)
    now = await over_time(journal, where, fingerprints, span, part)
    before = await over_time(journal, where, fingerprints, span.before, span.after)
    parts = range(-(-(span.after - span.first) // part))
    return [
        _group(
            row,
            seen[fingerprint],
            failures_before=before.get((fingerprint, 0), 0),
            is_new=int(seen[fingerprint]["first_ts"]) >= span.first * MINUTE,
            trend=[now.get((fingerprint, number), 0) for number in parts],
        )
        for row, fingerprint in zip(found, fingerprints, strict=True)
    ]


async def over_time(
    journal: Journal, where: Where, fingerprints: Sequence[str], span: Span, part: int
) -> dict[tuple[str, int], int]:
    """Failures by fingerprint and number of the part of the span, each of `part` minutes."""
    given = where.copy()
    given.parameters |= {"fingerprints": fingerprints, "first": span.first, "after": span.after, "part": max(1, part)}
    found = await journal.ask(OVER_TIME.format(where=where), given)
    return {(str(row["fingerprint"]), int(row["part"])): int(row["n"]) for row in found}


async def places_of(journal: Journal, fingerprint: str, span: Span) -> list[ErrorPlace]:
    """Where it happened, most often first."""
    given = Where([], {"fingerprint": fingerprint, "first": span.first, "after": span.after})
    return [
        ErrorPlace(
            row["env"],
            row["source"],
            row["queue"],
            int(row["failures"]),
            int(row["finals"]),
            rfc3339(int(row["until"])),
        )
        for row in await journal.ask(PLACES, given)
    ]


def _group(row: Mapping[str, Any], seen: Mapping[str, Any], **more: Any) -> ErrorGroup:
    return ErrorGroup(
        fingerprint=str(row["fingerprint"]),
        error=str(row["a_error"]),
        error_type=str(row["a_type"]),
        job_name=str(row["a_name"]),
        sample_job=SampleJob(*row["a_job"]),
        failures=int(row["failures"]),
        final_failures=int(row["finals"]),
        first_seen=rfc3339(int(seen["first_ts"])),
        last_seen=rfc3339(int(seen["last_ts"])),
        queues=[QueueName(*names) for names in row["queues"]],
        queue_count=int(row["queue_count"]),
        **more,
    )
