"""Whether what the page shows of the bot has changed, without reading it."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Text, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.audit import NOTED
from bot.store.incidents import IS_OPEN
from bot.store.models import AuditRow, IncidentRow, RuleRow, SilenceRow, WatchRow
from tocsin.refresh import Changes

RECENT = 500
"""Entries of the audit that the page shows: what came of one is written into it later."""

WRITTEN: ColumnElement[Any] = cast(cast(literal_column("xmin"), Text), BigInteger)
"""The transaction that wrote a row as it is now: Postgres keeps it in every row, so no writer can forget to."""


async def read_changes(session: AsyncSession) -> Changes:
    """Sums over the rows' writers and their number: they differ once a row was written, changed or removed.

    Asked each second, so of incidents only those that are open are read, however many are kept: nothing becomes of one
    that is over but a note, which stands in the audit too.
    """
    silences = select(WRITTEN.label("writer")).select_from(SilenceRow).where(SilenceRow.ended_ms.is_(None))
    incidents = select(WRITTEN.label("writer")).select_from(IncidentRow).where(IS_OPEN)
    rules = select(WRITTEN.label("writer")).select_from(RuleRow)
    newest = select(WRITTEN.label("writer"), AuditRow.id, AuditRow.action).order_by(AuditRow.id.desc()).limit(RECENT)
    recent = newest.subquery()
    noted = await session.scalar(select(func.max(recent.c.id)).where(recent.c.action == NOTED))
    finds = await session.execute(
        select(func.count(), func.coalesce(func.sum(WatchRow.since_ms), 0)).where(WatchRow.is_firing)
    )
    return Changes(
        incidents=f"{await _sum(session, incidents.subquery())} {await _sum(session, silences.subquery())} {noted}",
        rules=f"{await _sum(session, rules.subquery())} {_word(finds.one())}",
        audit=await _sum(session, recent),
    )


async def _sum(session: AsyncSession, rows: FromClause) -> str:
    found = await session.execute(select(func.count(), func.coalesce(func.sum(rows.c.writer), 0)).select_from(rows))
    return _word(found.one())


def _word(row: Any) -> str:
    return ":".join(str(each) for each in row)
