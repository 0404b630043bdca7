"""People of Telegram: who has spoken to the bot, and which role an admin gave them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.models import Grant, Person
from tocsin.roles import Role

KEEP = timedelta(days=90)


async def remember(session: AsyncSession, seen: Mapping[int, tuple[str, str]]) -> None:
    """Note by which username and name people go now: user id -> both."""
    if not seen:
        return
    # In one order, so that two bots never wait for one another.
    rows = [{"user_id": one, "username": who[0], "name": who[1]} for one, who in sorted(seen.items())]
    made = insert(Person).values(rows)
    values = {"username": made.excluded.username, "name": made.excluded.name, "seen_at": func.now()}
    await session.execute(made.on_conflict_do_update(index_elements=["user_id"], set_=values))


async def find(session: AsyncSession, username: str) -> Sequence[Person]:
    """Who was last seen with this username, without regard to case; the newest first: Telegram lets names change."""
    mine = func.lower(Person.username) == username.lower()
    return (await session.scalars(select(Person).where(mine).order_by(Person.seen_at.desc()))).all()


async def grants(session: AsyncSession) -> dict[int, Role]:
    """Every role that was given."""
    rows = await session.execute(select(Grant.user_id, Grant.role))
    return {user_id: Role(role) for user_id, role in rows}


async def granted(session: AsyncSession, user_id: int) -> Role | None:
    """The role one person was given."""
    role = await session.scalar(select(Grant.role).where(Grant.user_id == user_id))
    return None if role is None else Role(role)


async def grant(session: AsyncSession, user_id: int, role: Role, by: str) -> None:
    """Give a role, instead of the one there was."""
    made = insert(Grant).values(user_id=user_id, role=role.value, granted_by=by)
    values = {"role": role.value, "granted_by": by, "granted_at": func.now()}
    await session.execute(made.on_conflict_do_update(index_elements=["user_id"], set_=values))


async def revoke(session: AsyncSession, user_id: int) -> bool:
    """Take a role back; return whether there was one."""
    gone = await session.execute(delete(Grant).where(Grant.user_id == user_id).returning(Grant.user_id))
    return gone.scalar_one_or_none() is not None


async def named(session: AsyncSession, most: int) -> Sequence[tuple[int, str, str, str]]:
    """Grants with what is known of the people, in order: user id, role, username, name."""
    found = await session.execute(
        select(Grant.user_id, Grant.role, func.coalesce(Person.username, ""), func.coalesce(Person.name, ""))
        .outerjoin(Person, Person.user_id == Grant.user_id)
        .order_by(Grant.role, Grant.user_id)
        .limit(most)
    )
    return [(row[0], row[1], row[2], row[3]) for row in found]


async def forget_people(session: AsyncSession) -> None:
    """Delete who has not been heard of for long and holds no role."""
    has_role = select(Grant.user_id).where(Grant.user_id == Person.user_id).exists()
    await session.execute(delete(Person).where(Person.seen_at < func.now() - KEEP, ~has_role))
