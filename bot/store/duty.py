"""Shifts and the rota as rows."""

from collections.abc import Iterable

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.failures import stored
from bot.routing.duty import Duty, Shift, Turn, on_call
from bot.store.locks import Lock
from bot.store.models import RotaRow, ShiftRow

MOST_SHIFTS = 20
"""One on top of the other; those below will hardly come back."""


async def shifts_on(session: AsyncSession, now_ms: int) -> list[Shift]:
    """The shifts that are not over, the newest first: a short one lies on top of whoever goes on after it."""
    is_on = (ShiftRow.until_ms.is_(None)) | (ShiftRow.until_ms > now_ms)
    rows = await session.scalars(select(ShiftRow).where(is_on).order_by(ShiftRow.id.desc()).limit(MOST_SHIFTS))
    return [Shift(row.user_id, row.name, row.from_ms, row.until_ms, row.by_name) for row in rows]


async def read_turns(session: AsyncSession) -> list[Turn]:
    """The rota, from Monday on."""
    rows = await session.scalars(select(RotaRow).order_by(RotaRow.minute))
    return [Turn(row.minute, row.user_id, row.name) for row in rows]


async def duty_now(session: AsyncSession, now_ms: int) -> Duty | None:
    """Who is on call."""
    return on_call(await shifts_on(session, now_ms), await read_turns(session), now_ms)


async def begin_shift(session: AsyncSession, shift: Shift) -> None:
    """Let somebody be on call, instead of whoever was; until then only, if it ends by itself."""
    if shift.until_ms is None:
        await end_shifts(session, shift.from_ms)
    session.add(
        ShiftRow(
            user_id=shift.user_id,
            name=stored(shift.name, 100),
            from_ms=shift.from_ms,
            until_ms=shift.until_ms,
            by_name=stored(shift.by, 100),
        )
    )
    await session.flush()


async def end_shifts(session: AsyncSession, now_ms: int, *, user_id: int | None = None) -> None:
    """Let the rota say who is on call. user_id: end one person's only."""
    which = [(ShiftRow.until_ms.is_(None)) | (ShiftRow.until_ms > now_ms)]
    which += [ShiftRow.user_id == user_id] if user_id is not None else []
    await session.execute(update(ShiftRow).where(*which).values(until_ms=now_ms))


async def relieve(session: AsyncSession, user_id: int, now_ms: int) -> bool:
    """End somebody's shift and take their turns out of the rota; return whether there was any."""
    theirs = (ShiftRow.user_id == user_id, (ShiftRow.until_ms.is_(None)) | (ShiftRow.until_ms > now_ms))
    ended = await session.execute(update(ShiftRow).where(*theirs).values(until_ms=now_ms).returning(ShiftRow.id))
    turns = await session.execute(delete(RotaRow).where(RotaRow.user_id == user_id).returning(RotaRow.minute))
    return bool(ended.all() or turns.all())


async def set_rota(session: AsyncSession, turns: Iterable[Turn]) -> None:
    """Replace the rota. Of two people who do so at once the second waits, and replaces what the first has set."""
    await session.execute(select(func.pg_advisory_xact_lock(Lock.ROTA)))
    await session.execute(delete(RotaRow))
    session.add_all(RotaRow(minute=one.minute, user_id=one.user_id, name=stored(one.name, 100)) for one in turns)
    await session.flush()
