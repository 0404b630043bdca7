"""What whoever takes over wants to know: one look at what is open and at what was done lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.machine import Phase
from bot.incidents.silences import Silence
from bot.routing.duty import Duty, next_on_call
from bot.store.audit import NOTED
from bot.store.duty import duty_now, read_turns, shifts_on
from bot.store.incidents import Open, open_incidents
from bot.store.models import AuditRow, IncidentRow
from bot.store.silences import silences_on

MOST_OPEN, MOST_ACTS = 10, 12
_NOT_ACTS = ("login", "login link", "logout", NOTED)


@dataclass(frozen=True)
class Handover:
    """Since a time (ms): what is open; what is quiet; who did what, the newest of so many; how many began and ended.

    Only what rang began, or ended, for people.
    """

    since_ms: int
    duty: Duty | None
    following: Duty | None
    open: Open
    silences: Sequence[Silence]
    acts: Sequence[AuditRow]
    acts_count: int
    began: int
    ended: int


async def handover(session: AsyncSession, *, since_ms: int, now_ms: int) -> Handover:
    """Read it."""
    began = select(func.count()).select_from(IncidentRow).where(IncidentRow.rung_ms >= since_ms)
    has_ended = (IncidentRow.phase == Phase.RESOLVED, IncidentRow.touched_ms >= since_ms, IncidentRow.has_rung)
    ended = select(func.count()).select_from(IncidentRow).where(*has_ended)
    is_act = (AuditRow.at >= datetime.fromtimestamp(since_ms / 1000, UTC), AuditRow.action.not_in(_NOT_ACTS))
    acts = select(AuditRow).where(*is_act).order_by(AuditRow.id.desc()).limit(MOST_ACTS)
    return Handover(
        since_ms,
        await duty_now(session, now_ms),
        next_on_call(await shifts_on(session, now_ms), await read_turns(session), now_ms),
        await open_incidents(session, offset=0, limit=MOST_OPEN),
        await silences_on(session),
        (await session.scalars(acts)).all(),
        await session.scalar(select(func.count()).select_from(AuditRow).where(*is_act)) or 0,
        await session.scalar(began) or 0,
        await session.scalar(ended) or 0,
    )
