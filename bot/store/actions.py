"""Actions as rows, and what became of each of their jobs."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.actions.action import Action, Fate, Stage
from bot.routing.routes import Destination
from bot.store.models import ActionJob, ActionRow

UNDER_WAY = (Stage.BEGUN, Stage.FOLLOWING)
ROWS_AT_ONCE = 1000


async def add_action(session: AsyncSession, one: Action, to: Destination, by_id: str) -> Action:
    """Store one that was asked for; return it with its id."""
    row = ActionRow(
        stage=one.stage,
        action=one.action,
        env=one.env,
        source=one.source,
        queue=one.queue,
        kind=one.kind,
        by_id=by_id,
        by_name=one.by,
        note=one.note,
        claimed_by="",
        wanted=dict(one.wanted),
        fates={},
        count=one.count,
        incident_id=one.incident_id,
        chat_id=to.chat_id,
        topic_id=to.topic_id,
        asked_ms=one.asked_ms,
    )
    session.add(row)
    await session.flush()
    return to_action(row)


async def hold_action(session: AsyncSession, action_id: int) -> ActionRow | None:
    """One action, held until the transaction ends."""
    return await session.get(ActionRow, action_id, with_for_update=True, populate_existing=True)


async def claim_action(
    session: AsyncSession, stages: Collection[Stage], *, sender: str, lease_seconds: float, not_these: Collection[int]
) -> ActionRow | None:
    """One action in one of these stages that nobody else is at, claimed for a while."""
    is_free = or_(
        ActionRow.claimed_by == sender, ActionRow.claimed_until.is_(None), ActionRow.claimed_until < func.now()
    )
    row = await session.scalar(
        select(ActionRow)
        .where(ActionRow.stage.in_(stages), is_free, ActionRow.id.not_in(not_these))
        .order_by(ActionRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is not None:
        row.claimed_by = sender
        await session.flush()
        await renew_claim(session, row.id, sender, lease_seconds)
    return row


async def renew_claim(session: AsyncSession, action_id: int, sender: str, lease_seconds: float) -> bool:
    """Be at it for longer; 0 = leave it to others. Return whether it is still ours: what another has taken stays so."""
    until = func.now() + timedelta(seconds=lease_seconds) if lease_seconds else None
    renewed = await session.execute(
        update(ActionRow)
        .where(ActionRow.id == action_id, ActionRow.claimed_by == sender)
        .values(claimed_until=until)
        .returning(ActionRow.id),
        execution_options={"synchronize_session": False},
    )
    return renewed.one_or_none() is not None


async def fates(session: AsyncSession, action_id: int) -> dict[str, Fate]:
    """Job -> what became of it so far."""
    rows = await session.execute(select(ActionJob.job_id, ActionJob.fate).where(ActionJob.action_id == action_id))
    return {job_id: Fate(fate) for job_id, fate in rows}


async def jobs_of(session: AsyncSession, action_id: int, fate: Fate) -> list[str]:
    """The jobs that fared so."""
    mine = (ActionJob.action_id == action_id, ActionJob.fate == fate)
    return list(await session.scalars(select(ActionJob.job_id).where(*mine).order_by(ActionJob.job_id)))


async def add_fates(session: AsyncSession, action_id: int, found: Mapping[str, Fate]) -> None:
    """Remember the jobs of an action; those that are known stay as they are."""
    rows = [{"action_id": action_id, "job_id": job_id, "fate": fate} for job_id, fate in sorted(found.items())]
    for at in range(0, len(rows), ROWS_AT_ONCE):
        await session.execute(insert(ActionJob).values(rows[at : at + ROWS_AT_ONCE]).on_conflict_do_nothing())


async def change_fates(session: AsyncSession, action_id: int, changed: Mapping[str, Fate]) -> None:
    """Write what became of jobs."""
    if not changed:
        return
    which = (ActionJob.action_id == bindparam("of_action"), ActionJob.job_id == bindparam("of_job"))
    rows: list[dict[str, Any]] = [
        {"of_action": action_id, "of_job": job_id, "now": fate} for job_id, fate in changed.items()
    ]
    connection = await session.connection()
    await connection.execute(update(ActionJob.__table__).where(*which).values(fate=bindparam("now")), rows)  # pyright: ignore[reportArgumentType]  # a Table, as Mapped classes type it a FromClause


def write_action(row: ActionRow, one: Action) -> None:
    """Put what changes of an action into its row."""
    row.stage, row.count, row.note, row.by_name = one.stage, one.count, one.note, one.by
    row.begun_ms, row.ended_ms, row.sent_ms, row.next_offset = one.begun_ms, one.ended_ms, one.sent_ms, one.offset
    row.fates = dict(one.fates)


def to_action(row: ActionRow) -> Action:
    """Read a row."""
    return Action(
        id=row.id,
        stage=Stage(row.stage),
        action=row.action,
        env=row.env,
        source=row.source,
        queue=row.queue,
        wanted=row.wanted,
        count=row.count,
        incident_id=row.incident_id,
        kind=row.kind,
        by=row.by_name,
        asked_ms=row.asked_ms,
        begun_ms=row.begun_ms,
        ended_ms=row.ended_ms,
        sent_ms=row.sent_ms,
        offset=row.next_offset,
        note=row.note,
        fates=row.fates,
    )
