"""Silences as rows."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.failures import Key
from bot.incidents.silences import Scope, Silence, covering
from bot.store.models import SilenceRow


async def silences_on(session: AsyncSession) -> list[Silence]:
    """Those that are on, the one that ends first before the others."""
    on = select(SilenceRow).where(SilenceRow.ended_ms.is_(None)).order_by(SilenceRow.until_ms, SilenceRow.id)
    return [to_silence(row) for row in await session.scalars(on)]


async def hold_covering(session: AsyncSession, keys: Collection[Key]) -> dict[int, SilenceRow]:
    """Those that are on and keep any of these quiet, held until the transaction ends: by their ids."""
    if not keys:
        return {}
    columns = (SilenceRow.env, SilenceRow.source, SilenceRow.queue, SilenceRow.fingerprint)
    near = [column.in_({"", *parts}) for column, parts in zip(columns, zip(*keys, strict=True), strict=True)]
    rows = await session.scalars(select(SilenceRow).where(SilenceRow.ended_ms.is_(None), *near))
    on = [to_silence(row) for row in rows]
    held = await hold_silences(session, {one.id for key in keys for one in covering(on, key)})
    return {number: row for number, row in held.items() if row.ended_ms is None}


async def hold_silences(session: AsyncSession, ids: Iterable[int]) -> dict[int, SilenceRow]:
    """Fetch these, and hold them until the transaction ends."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    rows = await session.scalars(
        select(SilenceRow)
        .where(SilenceRow.id.in_(wanted))
        .order_by(SilenceRow.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in rows}


async def hold_same(session: AsyncSession, scope: Scope, *, is_maintenance: bool) -> SilenceRow | None:
    """The silence of exactly this scope that is on, held until the transaction ends."""
    return await session.scalar(_same(scope, is_maintenance=is_maintenance).with_for_update())


async def is_silenced(session: AsyncSession, scope: Scope) -> bool:
    """Whether there is a silence of exactly this scope, at this moment; nothing is held."""
    return await session.scalar(_same(scope, is_maintenance=False)) is not None


def _same(scope: Scope, *, is_maintenance: bool) -> Select[SilenceRow]:
    parts = (SilenceRow.env, SilenceRow.source, SilenceRow.queue, SilenceRow.fingerprint)
    return (
        select(SilenceRow)
        .where(SilenceRow.ended_ms.is_(None), SilenceRow.is_maintenance == is_maintenance)
        .where(*(column == part for column, part in zip(parts, scope.parts, strict=True)))
        .order_by(SilenceRow.id)
        .limit(1)
    )


async def hold_ended(session: AsyncSession, now_ms: int, limit: int) -> Sequence[SilenceRow]:
    """Silences whose time is over and that nobody else is ending."""
    rows = await session.scalars(
        select(SilenceRow)
        .where(SilenceRow.ended_ms.is_(None), SilenceRow.until_ms <= now_ms)
        .order_by(SilenceRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return rows.all()


def to_silence(row: SilenceRow) -> Silence:
    """Read a row."""
    return Silence(
        id=row.id,
        scope=Scope(row.env, row.source, row.queue, row.fingerprint),
        until_ms=row.until_ms,
        from_ms=row.from_ms,
        by=row.by_name,
        reason=row.reason,
        is_maintenance=row.is_maintenance,
        hidden=row.hidden,
        kinds=row.kinds,
    )
