"""Things that happen once in the life of an installation, or that matter only by when they happened last."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.models import Milestone

BORN = "born"
GREETED = "greeted"
WATCHED = "watched"
PROBED = "probed"
SEEN = "seen:"
"""Before a source's name: when a bridge reported it last."""
LEFT = "left:"
"""Before a source's name: when it was taken to have been taken away."""


async def reach(session: AsyncSession, name: str, at_ms: int) -> bool:
    """Note that it happened now; return False if it had happened before."""
    noted = await session.execute(
        insert(Milestone).values(name=name, at_ms=at_ms).on_conflict_do_nothing().returning(Milestone.name)
    )
    return noted.scalar_one_or_none() is not None


async def mark(session: AsyncSession, name: str, at_ms: int) -> None:
    """Note when it happened last."""
    made = insert(Milestone).values(name=name, at_ms=at_ms)
    await session.execute(made.on_conflict_do_update(index_elements=["name"], set_={"at_ms": at_ms}))


async def reached_ms(session: AsyncSession, name: str) -> int | None:
    """When it happened, or None."""
    return await session.scalar(select(Milestone.at_ms).where(Milestone.name == name))


async def marked(session: AsyncSession, prefix: str) -> dict[str, int]:
    """When each of those that begin so happened last, by the rest of their names."""
    rows = await session.execute(
        select(Milestone.name, Milestone.at_ms).where(Milestone.name.startswith(prefix, autoescape=True))
    )
    return {name.removeprefix(prefix): at_ms for name, at_ms in rows}
