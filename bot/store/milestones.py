"""Things that happen once in the life of an installation."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.models import Milestone

BORN = "born"
GREETED = "greeted"
WATCHED = "watched"


async def reach(session: AsyncSession, name: str, at_ms: int) -> bool:
    """Note that it happened now; return False if it had happened before."""
    noted = await session.execute(
        insert(Milestone).values(name=name, at_ms=at_ms).on_conflict_do_nothing().returning(Milestone.name)
    )
    return noted.scalar_one_or_none() is not None


async def reached_ms(session: AsyncSession, name: str) -> int | None:
    """When it happened, or None."""
    return await session.scalar(select(Milestone.at_ms).where(Milestone.name == name))
