"""What whoever takes over wants to know: one look at what is open and at what was done lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.machine import Phase
from bot.incidents.silences import Silence
from bot.routing.duty import Duty, next_on_call
from bot.rules.policy import LOST_RULE
from bot.store.audit import newest
from bot.store.duty import duty_now, newest_shift, read_turns
from bot.store.incidents import Open, open_incidents
from bot.store.models import AuditRow, IncidentRow
from bot.store.silences import silences_on

MOST_OPEN, MOST_ACTS = 10, 60
_NOT_ACTS = frozenset({"login", "login link", "logout", "note"})


@dataclass(frozen=True)
class Handover:
    """Since a time (ms): what is open; what is quiet; who did what; how many incidents began and ended; lost events."""

    since_ms: int
    duty: Duty | None
    following: Duty | None
    open: Open
    silences: Sequence[Silence]
    acts: Sequence[AuditRow]
    began: int
    ended: int
    lost: int


async def handover(session: AsyncSession, *, since_ms: int, now_ms: int) -> Handover:
    """Read it."""
    began = select(func.count()).select_from(IncidentRow).where(IncidentRow.rung_ms >= since_ms)
    ended = select(func.count()).select_from(IncidentRow)
    lost = select(func.coalesce(func.sum(IncidentRow.count), 0))
    is_gap = IncidentRow.fingerprint == f"rule:{LOST_RULE}"
    since = datetime.fromtimestamp(since_ms / 1000, UTC)
    acts = [one for one in await newest(session, limit=MOST_ACTS) if one.at >= since and one.action not in _NOT_ACTS]
    return Handover(
        since_ms,
        await duty_now(session, now_ms),
        next_on_call(await newest_shift(session), await read_turns(session), now_ms),
        await open_incidents(session, offset=0, limit=MOST_OPEN),
        await silences_on(session),
        acts,
        await session.scalar(began) or 0,
        await session.scalar(ended.where(IncidentRow.phase == Phase.RESOLVED, IncidentRow.touched_ms >= since_ms)) or 0,
        int(await session.scalar(lost.where(is_gap, IncidentRow.touched_ms >= since_ms)) or 0),
    )
