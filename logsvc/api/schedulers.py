"""`GET /api/v1/schedulers`: when each scheduler is due next, and whether it was late, from memory.

When it last ran is asked of ClickHouse; while that is away, it is what was seen of the schedule itself.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from logsvc.api.answers import MEMORY, CursorText, Limit, Names, Page, refusals, refuse_unknown
from logsvc.api.journal import DAY, Journal, Where
from logsvc.api.queues import coverage_of, need
from logsvc.coverage import HistoryCoverage
from logsvc.cursors import SchedulerKey, pack, unpack
from logsvc.errors import LogsvcError
from logsvc.filters import values
from logsvc.snapshots import Snapshots
from tocsin.events import SchedulerSnapshot
from tocsin.times import rfc3339, rfc3339_or_none

LAST_RUNS_SECONDS = 1.5
"""How long the answer waits for what only ClickHouse knows."""

LAST_RUNS = """
SELECT source, queue, scheduler,
    maxIf(ts, event = 'active') AS began, argMaxIf(job_id, ts, event = 'active') AS began_id,
    argMaxIf(state, ts, state IN ('completed', 'failed')) AS outcome
FROM journal
WHERE kind = 'event' AND ts >= {earliest:Int64} AND source IN {sources:Array(String)}
    AND queue IN {queues:Array(String)} AND scheduler IN {schedulers:Array(String)}
GROUP BY source, queue, scheduler
"""

Key = tuple[str, str, str]


class SchedulerItem(msgspec.Struct, kw_only=True):
    """A job scheduler as of its newest snapshot.

    every: ms between runs, where it has no pattern. last_run: when a job of it last began, as far as the last week
    tells; last_outcome: what became of the last one that ended, completed or failed; null = not known.
    missed: runs whose time has passed and that were not begun; null = some, of a pattern.
    """

    env: str
    source: str
    queue: str
    scheduler: str
    job_name: str
    pattern: str
    every: int | None
    timezone: str
    next_run: str | None
    last_run: str | None
    last_job_id: str | None
    last_outcome: str | None
    is_overdue: bool
    overdue_seconds: float
    missed: int | None
    iteration: int | None
    max_iterations: int | None
    starts_at: str | None
    ends_at: str | None
    is_legacy: bool
    data: str
    as_of: str


def schedulers_routes(snapshots: Snapshots, history: HistoryCoverage, journal: Journal) -> list[HTTPRouteHandler]:
    """The route, bound to the snapshots and, for when each last ran, to the journal."""

    @get(
        "/api/v1/schedulers", summary="Job schedulers: next and last run, overdue, missed", responses=refusals(*MEMORY)
    )
    async def schedulers(
        request: Request[Any, Any, Any],
        env: Names = None,
        source: Names = None,
        queue: Names = None,
        scheduler: Names = None,
        overdue: Annotated[
            bool | None, Parameter(description="Only those that are overdue, or only the others.")
        ] = None,
        cursor: CursorText = None,
        limit: Limit = 1000,
    ) -> Page[SchedulerItem]:
        refuse_unknown(request, ("env", "source", "queue", "scheduler", "overdue", "cursor", "limit"))
        need(snapshots)
        asked = {"env": env, "source": source, "queue": queue, "scheduler": scheduler}
        wanted = {name: values(name, given) for name, given in asked.items()}
        found = sorted(
            (
                (SchedulerKey(one.env, one.source, one.queue, one.scheduler), key, one)
                for key, one in snapshots.schedulers.items()
                if all(not allowed or getattr(one, name) in allowed for name, allowed in wanted.items())
                and overdue in (None, one.is_overdue)
            ),
            key=lambda entry: entry[0],
        )
        if cursor:
            after = unpack(SchedulerKey, cursor)
            found = [entry for entry in found if entry[0] > after]
        shown = found[:limit]
        runs = await _last_runs(journal, [one for _, _, one in shown])
        return Page(
            items=[_item(one, snapshots.ran.get(key), runs.get(_key(one))) for _, key, one in shown],
            next_cursor=pack(shown[-1][0]) if len(found) > limit else None,
            as_of=rfc3339(snapshots.as_of_ms),
            coverage=coverage_of(history, wanted),
        )

    return [schedulers]


async def _last_runs(journal: Journal, shown: Sequence[SchedulerSnapshot]) -> Mapping[Key, Mapping[str, Any]]:
    """What the journal tells of the last week's runs; nothing while it does not answer at once."""
    if not shown:
        return {}
    asked = Where(
        parameters={
            "earliest": journal.now_ms() - 7 * DAY,
            "sources": sorted({one.source for one in shown}),
            "queues": sorted({one.queue for one in shown}),
            "schedulers": sorted({one.scheduler for one in shown}),
        }
    )
    try:
        async with asyncio.timeout(LAST_RUNS_SECONDS):
            found = await journal.ask(LAST_RUNS, asked)
    except (LogsvcError, TimeoutError):
        return {}
    return {(row["source"], row["queue"], row["scheduler"]): row for row in found}


def _key(one: SchedulerSnapshot) -> Key:
    return one.source, one.queue, one.scheduler


def _item(one: SchedulerSnapshot, ran: int | None, told: Mapping[str, Any] | None) -> SchedulerItem:
    began = int(told["began"]) if told else 0
    return SchedulerItem(
        env=one.env,
        source=one.source,
        queue=one.queue,
        scheduler=one.scheduler,
        job_name=one.job_name,
        pattern=one.pattern,
        every=one.every,
        timezone=one.timezone,
        next_run=rfc3339_or_none(one.next_run),
        last_run=rfc3339_or_none(began or ran),
        last_job_id=str(told["began_id"]) if told and began else None,
        last_outcome=(str(told["outcome"]) or None) if told else None,
        is_overdue=one.is_overdue,
        overdue_seconds=one.overdue_seconds,
        missed=missed_of(one),
        iteration=one.iteration,
        max_iterations=one.max_iterations,
        starts_at=rfc3339_or_none(one.starts_at),
        ends_at=rfc3339_or_none(one.ends_at),
        is_legacy=one.is_legacy,
        data=one.data,
        as_of=rfc3339(one.ts),
    )


def missed_of(one: SchedulerSnapshot) -> int | None:
    """Runs that were due and not begun: BullMQ adds the next one only when the one before begins."""
    if not one.is_overdue:
        return 0
    return 1 + int(one.overdue_seconds * 1000) // one.every if one.every else None
