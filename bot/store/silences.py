"""Silences as rows.

A silence covers what is open when it begins, and what begins while it is on. So that nothing falls between, whoever
begins or ends one does that alone: `keep_still` comes before all else, and waits for those who count failures.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.failures import Key
from bot.incidents.silences import Scope, Silence, covering
from bot.store.locks import Lock
from bot.store.models import SilenceRow


async def keep_still(session: AsyncSession) -> None:
    """Let nobody count failures, nor begin or end a silence, until this transaction ends. Before any row is held."""
    await session.execute(select(func.pg_advisory_xact_lock(Lock.SILENCES)))


async def silences_on(session: AsyncSession) -> list[Silence]:
    """Those that are on, the one that ends first before the others."""
    on = select(SilenceRow).where(SilenceRow.ended_ms.is_(None)).order_by(SilenceRow.until_ms, SilenceRow.id)
    return [to_silence(row) for row in await session.scalars(on)]


async def hold_covering(session: AsyncSession, keys: Collection[Key], *, after_ms: int) -> dict[int, SilenceRow]:
    """Those that are on, cover any of these and last longer than that, held until the transaction ends: by their ids.

    Until then none begins or ends. Nobody may have ended yet one whose time is up: it keeps quiet what was before that.
    """
    if not keys:
        return {}
    await session.execute(select(func.pg_advisory_xact_lock_shared(Lock.SILENCES)))
    columns = (SilenceRow.env, SilenceRow.source, SilenceRow.queue, SilenceRow.fingerprint)
    near = [column.in_({"", *parts}) for column, parts in zip(columns, zip(*keys, strict=True), strict=True)]
    is_on = (SilenceRow.ended_ms.is_(None), SilenceRow.until_ms > after_ms)
    rows = await session.scalars(select(SilenceRow).where(*is_on, *near))
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
    parts = (SilenceRow.env, SilenceRow.source, SilenceRow.queue, SilenceRow.fingerprint)
    same = (
        select(SilenceRow)
        .where(SilenceRow.ended_ms.is_(None), SilenceRow.is_maintenance == is_maintenance)
        .where(*(column == part for column, part in zip(parts, scope.parts, strict=True)))
        .order_by(SilenceRow.id)
        .limit(1)
    )
    return await session.scalar(same.with_for_update())


async def hold_ended(session: AsyncSession, now_ms: int, limit: int) -> Sequence[SilenceRow]:
    """Silences whose time is over; all is still if there is any."""
    is_ended = and_(SilenceRow.ended_ms.is_(None), SilenceRow.until_ms <= now_ms)
    if await session.scalar(select(SilenceRow.id).where(is_ended).limit(1)) is None:
        return []
    await keep_still(session)
    rows = await session.scalars(
        select(SilenceRow).where(is_ended).order_by(SilenceRow.id).limit(limit).with_for_update()
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
