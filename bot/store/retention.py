"""Forget what is long over, so that the tables stay as small as what goes on."""

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Select, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.machine import Phase
from bot.store.models import (
    ActionJob,
    ActionRow,
    AuditRow,
    Card,
    DispatchRow,
    IncidentRow,
    LateSummary,
    SilenceRow,
    StormRow,
)

BATCH = 1000
JOBS_BATCH = 10_000
"""Rows of a few bytes that nothing hangs on."""
KEEP_AUDIT = timedelta(days=365)
GIVEN_UP, MOST_NOTE = "given up after 30 days: ", 200


async def forget(session: AsyncSession, before_ms: int) -> int:
    """Delete up to a batch of each: what has not changed since then and is over. Returns how many rows went.

    A message is over when it need not be sent again, and its incident is in a later episode or resolved; a storm's when
    all of it is. An incident or a summary takes its messages with it, and stays while one of them is still to arrive.
    """
    goes_on = and_(IncidentRow.phase != Phase.RESOLVED, IncidentRow.episode == Card.episode)
    storms_on = select(IncidentRow.storm_id).where(
        IncidentRow.storm_id.is_not(None), IncidentRow.phase != Phase.RESOLVED
    )
    is_done = or_(Card.state != "live", Card.sent >= Card.wanted)
    cards = (
        select(Card.id)
        .outerjoin(IncidentRow, IncidentRow.id == Card.incident_id)
        .where(Card.changed_ms < before_ms, is_done, or_(Card.incident_id.is_(None), ~goes_on))
        .where(or_(Card.storm_id.is_(None), Card.storm_id.not_in(storms_on)))
    )
    incidents = select(IncidentRow.id).where(
        IncidentRow.phase == Phase.RESOLVED,
        IncidentRow.touched_ms < before_ms,
        ~_is_awaited(Card.incident_id == IncidentRow.id, before_ms),
    )
    summaries = select(LateSummary.id).where(
        LateSummary.touched_ms < before_ms, ~_is_awaited(Card.late_id == LateSummary.id, before_ms)
    )
    has_members = select(IncidentRow.id).where(IncidentRow.storm_id == StormRow.id).exists()
    old_storms = select(StormRow.id).where(
        StormRow.joined_ms < before_ms, ~has_members, ~_is_awaited(Card.storm_id == StormRow.id, before_ms)
    )
    silences = select(SilenceRow.id).where(SilenceRow.ended_ms < before_ms)
    actions = select(ActionRow.id).where(
        ActionRow.asked_ms < before_ms, ~_is_awaited(Card.action_id == ActionRow.id, before_ms)
    )
    gone = await _delete_jobs(session, actions)
    has_jobs = select(ActionJob.action_id).where(ActionJob.action_id == ActionRow.id).exists()
    actions = actions.where(~has_jobs)
    old_dispatches = select(DispatchRow.id).where(DispatchRow.changed_ms < before_ms, DispatchRow.state != "waiting")
    tables = (Card, cards), (IncidentRow, incidents), (LateSummary, summaries), (StormRow, old_storms)
    for table, old in (*tables, (DispatchRow, old_dispatches), (SilenceRow, silences), (ActionRow, actions)):
        gone += await _delete(session, table, old)
    return gone


async def give_up(session: AsyncSession, before_ms: int, *, now_ms: int) -> int:
    """Try no more to send, up to a batch, what has not changed since then and whose chat refuses us.

    Else nothing of a chat that never lets us in again would ever be forgotten. Returns how many messages that were.
    """
    refused = (Card.state == "live", Card.wanted > Card.sent, Card.note != "", Card.changed_ms < before_ms)
    old = select(Card.id).where(*refused).order_by(Card.id).limit(BATCH).with_for_update(skip_locked=True).cte("old")
    given_up = await session.execute(
        update(Card)
        .where(Card.id.in_(select(old.c.id)))
        .values(state="dead", note=func.left(GIVEN_UP + Card.note, MOST_NOTE), changed_ms=now_ms)
        .returning(Card.id),
        execution_options={"synchronize_session": False},
    )
    return len(given_up.all())


async def forget_audit(session: AsyncSession) -> int:
    """Delete up to a batch of what is older than a year. Returns how many rows went."""
    old = select(AuditRow.id).where(AuditRow.at < func.now() - KEEP_AUDIT).order_by(AuditRow.id).limit(BATCH)
    gone = await session.execute(
        delete(AuditRow).where(AuditRow.id.in_(old)).returning(AuditRow.id),
        execution_options={"synchronize_session": False},
    )
    return len(gone.all())


def _is_awaited(which: ColumnElement[bool], before_ms: int) -> ColumnElement[bool]:
    """Whether a message is still to arrive, or was given up since then: /status tells of it."""
    is_to_come = and_(Card.state == "live", Card.wanted > Card.sent)
    is_told = and_(Card.state == "dead", Card.changed_ms >= before_ms)
    return select(Card.id).where(which, or_(is_to_come, is_told)).exists()


async def _delete_jobs(session: AsyncSession, actions: Select[int]) -> int:
    """Jobs go before their action, which would take all of them with it at once: one may have been about 10,000."""
    job = tuple_(ActionJob.action_id, ActionJob.job_id)
    old = select(ActionJob.action_id, ActionJob.job_id).where(ActionJob.action_id.in_(actions)).limit(JOBS_BATCH)
    gone = await session.execute(
        delete(ActionJob).where(job.in_(old)), execution_options={"synchronize_session": False}
    )
    return cast(CursorResult[Any], gone).rowcount


async def _delete(
    session: AsyncSession,
    table: type[Card | DispatchRow | IncidentRow | LateSummary | SilenceRow | StormRow | ActionRow],
    old: Select[int],
) -> int:
    """Delete what nobody holds at the moment, in the order in which everybody locks."""
    held = old.order_by(table.id).limit(BATCH).with_for_update(of=table, skip_locked=True).cte("held")
    gone = await session.execute(
        delete(table).where(table.id.in_(select(held.c.id))).returning(table.id),
        execution_options={"synchronize_session": False},
    )
    return len(gone.all())
