"""Leases: which of several bots does what only one may do, by a row that its holder renews.

Times are Postgres' own, so that no bot's clock matters; nothing is held between two transactions, so that it works
behind PgBouncer in transaction mode.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.models import LeaseRow


@dataclass(frozen=True)
class Lease:
    """Who holds it. fence: how often it has changed hands; a higher number is a later holder.

    left_seconds: until it is free, if it is not renewed.
    """

    holder: str
    fence: int
    left_seconds: float


_LEASE = (LeaseRow.holder, LeaseRow.fence, func.extract("epoch", LeaseRow.until - func.clock_timestamp()))


async def take(session: AsyncSession, name: str, holder: str, lasts: timedelta) -> Lease:
    """Renew a lease that is ours, or take one that is free; return who holds it then."""
    until = func.clock_timestamp() + lasts
    made = insert(LeaseRow).values(name=name, holder=holder, fence=1, until=until)
    is_same = LeaseRow.holder == holder
    taken = await session.execute(
        made.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": holder, "fence": LeaseRow.fence + case((is_same, 0), else_=1), "until": until},
            where=or_(is_same, LeaseRow.until < func.clock_timestamp()),
        ).returning(*_LEASE)
    )
    if (row := taken.one_or_none()) is None:
        row = (await session.execute(select(*_LEASE).where(LeaseRow.name == name))).one()
    return Lease(row[0], row[1], float(row[2]))


async def give_up(session: AsyncSession, name: str, holder: str) -> None:
    """Let the next one have it at once."""
    await session.execute(
        update(LeaseRow)
        .where(LeaseRow.name == name, LeaseRow.holder == holder)
        .values(until=func.clock_timestamp() - timedelta(seconds=1))
    )
