"""What rules remember, as rows."""

from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.rules.board import Change, Spot
from bot.rules.conditions import Watch
from bot.store.models import WatchRow


async def read_watches(session: AsyncSession, rules: Collection[str] = ()) -> dict[Spot, Watch]:
    """What is remembered, of these rules or of all."""
    rows = await session.scalars(select(WatchRow).where(WatchRow.rule.in_(rules)) if rules else select(WatchRow))
    return {
        Spot(row.rule, row.env, row.source, row.queue, row.part): Watch(
            row.since_ms, row.at_ms, row.is_firing, row.well_since_ms
        )
        for row in rows
    }


async def store_watches(session: AsyncSession, changes: Iterable[Change]) -> None:
    """Keep what is to be remembered, forget the rest; in one order, so that nobody deadlocks."""
    for one in sorted(changes, key=lambda change: change.spot):
        names = one.spot._asdict()
        if one.watch is None:
            row = await session.get(WatchRow, tuple(names.values()))
            if row is not None:
                await session.delete(row)
            continue
        values = {
            "since_ms": one.watch.since_ms,
            "at_ms": one.watch.at_ms,
            "is_firing": one.watch.is_firing,
            "well_since_ms": one.watch.well_since_ms,
        }
        await session.execute(
            insert(WatchRow)
            .values(**names, **values)
            .on_conflict_do_update(index_elements=list(Spot._fields), set_=values)
        )
