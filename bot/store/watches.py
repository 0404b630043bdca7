"""What rules remember, as rows."""

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.rules.board import Change, Spot
from bot.rules.conditions import Verdict, Watch
from bot.store.models import WatchRow


async def read_watches(session: AsyncSession) -> dict[Spot, Watch]:
    """What is remembered."""
    rows = await session.scalars(select(WatchRow))
    return {
        Spot(row.rule, row.env, row.source, row.queue, row.part): Watch(
            row.since_ms, row.at_ms, row.is_firing, row.well_since_ms
        )
        for row in rows
    }


async def store_watches(session: AsyncSession, changes: Iterable[Change]) -> None:
    """Keep what is to be remembered, forget the rest; in one order, so that nobody deadlocks.

    What has rung stays until it is over: a bot that has only begun to suspect it, or has thought better of that, says
    nothing of what another found.
    """
    for one in sorted(changes, key=lambda change: change.spot):
        names = one.spot._asdict()
        if one.watch is None:
            is_over = one.finding is not None and one.finding.verdict is Verdict.RESOLVE
            mine = [getattr(WatchRow, name) == value for name, value in names.items()]
            await session.execute(delete(WatchRow).where(*mine, *([] if is_over else [~WatchRow.is_firing])))
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
            .on_conflict_do_update(
                index_elements=list(Spot._fields),
                set_=values,
                where=None if one.watch.is_firing else ~WatchRow.is_firing,
            )
        )
