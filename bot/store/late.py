"""Late summaries as rows."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.late import Late
from bot.incidents.machine import Phase
from bot.routing.routes import Destination
from bot.store.incidents import IS_TOO_FEW
from bot.store.models import IncidentRow, LateSummary


async def open_summary(session: AsyncSession, to: Destination, touched_after_ms: int) -> LateSummary | None:
    """A destination's summary that is still being added to."""
    return await session.scalar(
        select(LateSummary)
        .where(
            LateSummary.chat_id == to.chat_id,
            LateSummary.topic_id.is_not_distinct_from(to.topic_id),
            LateSummary.touched_ms >= touched_after_ms,
            LateSummary.ended_ms.is_(None),  # channels have heard that it is over
        )
        .order_by(LateSummary.id.desc())
        .limit(1)
        .with_for_update()
    )


async def lock_over(session: AsyncSession, touched_before_ms: int, limit: int) -> Sequence[LateSummary]:
    """Summaries that take in no more and of which nothing is open that has never rung by itself."""
    goes_on = select(IncidentRow.id).where(
        IncidentRow.phase.not_in((Phase.RESOLVED, Phase.SILENCED)),
        ~IncidentRow.has_rung,
        ~IS_TOO_FEW,
        IncidentRow.first_ms <= LateSummary.last_ms,
    )
    wanted = (
        select(LateSummary)
        .where(LateSummary.ended_ms.is_(None), LateSummary.touched_ms < touched_before_ms, ~goes_on.exists())
        .order_by(LateSummary.id)
        .limit(limit)
    )
    return (await session.scalars(wanted.with_for_update(skip_locked=True))).all()


async def save_summary(
    session: AsyncSession, row: LateSummary | None, to: Destination, late: Late, *, now_ms: int
) -> int:
    """Write a summary to its row, or to a new one; return the row's id."""
    if row is None:
        row = LateSummary(chat_id=to.chat_id, topic_id=to.topic_id)
        session.add(row)
    row.touched_ms, row.failures, row.kinds = now_ms, late.failures, dict(late.kinds)
    row.first_ms, row.last_ms = late.first_ms, late.last_ms
    await session.flush()
    return row.id


def to_late(row: LateSummary | None) -> Late:
    """Read a row; an empty summary if there is none."""
    return Late(row.failures, row.kinds, row.first_ms, row.last_ms) if row else Late()
