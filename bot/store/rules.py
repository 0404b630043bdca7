"""What people have changed of the rules, as rows."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.rules.rulebook import NUMBERS, Tuning
from bot.store.models import RuleRow


class Changed(Exception):
    """Somebody else has changed the rule since it was looked at."""


async def read_tunings(session: AsyncSession) -> dict[str, Tuning]:
    """Rule -> what is changed of it."""
    return {row.name: _tuning(row) for row in await session.scalars(select(RuleRow))}


async def store_tuning(session: AsyncSession, name: str, wanted: Tuning, *, version: int) -> Tuning:
    """Change a rule that is at this version; return how it is now. Raises Changed."""
    # Of two who are the first at once, one waits here for the other.
    first = {"name": name, "version": 0, "changed_by": "", "changed_ms": 0}
    await session.execute(insert(RuleRow).values(first).on_conflict_do_nothing())
    row = await session.get_one(RuleRow, name, with_for_update=True, populate_existing=True)
    if row.version != version:
        raise Changed
    row.is_on, row.version = wanted.is_on, version + 1
    for number in NUMBERS:
        setattr(row, number, getattr(wanted, number))
    row.changed_by, row.changed_ms = wanted.by, wanted.at_ms
    await session.flush()
    return _tuning(row)


def _tuning(row: RuleRow) -> Tuning:
    numbers = {name: getattr(row, name) for name in NUMBERS}
    return Tuning(is_on=row.is_on, **numbers, version=row.version, by=row.changed_by, at_ms=row.changed_ms)
