"""Saved views as rows."""

from collections.abc import Sequence

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.models import ViewRow

MOST_EACH = 100
MOST_LISTED = 1000


class TooMany(Exception):
    """This person has as many views as one may have."""


async def visible_to(session: AsyncSession, owner: str) -> Sequence[ViewRow]:
    """Somebody's own views and those that are shared, by name."""
    mine = or_(ViewRow.owner == owner, ViewRow.is_shared)
    return (
        await session.scalars(select(ViewRow).where(mine).order_by(ViewRow.name, ViewRow.id).limit(MOST_LISTED))
    ).all()


async def hold(session: AsyncSession, view_id: int) -> ViewRow | None:
    """One view, held until the transaction ends."""
    return await session.get(ViewRow, view_id, with_for_update=True)


async def keep(session: AsyncSession, row: ViewRow) -> None:
    """Write a view, new or changed. Somebody has one home: the last one wins. Raises TooMany."""
    if row.id is None:  # pyright: ignore[reportUnnecessaryComparison]  # before the flush it has none
        count = await session.scalar(select(func.count()).select_from(ViewRow).where(ViewRow.owner == row.owner))
        if (count or 0) >= MOST_EACH:
            raise TooMany
        session.add(row)
    row.changed_at = func.now()
    await session.flush()
    if row.is_home:
        others = (ViewRow.owner == row.owner, ViewRow.id != row.id, ViewRow.is_home)
        await session.execute(
            update(ViewRow).where(*others).values(is_home=False), execution_options={"synchronize_session": False}
        )
    await session.refresh(row)
