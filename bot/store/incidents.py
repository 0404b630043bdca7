"""Incidents as rows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents import Incident, Key, LastFailure, Phase, key_part
from bot.store.models import IncidentRow


async def lock_incidents(session: AsyncSession, keys: Iterable[Key]) -> dict[Key, IncidentRow]:
    """Fetch the incidents of these keys and hold them until the transaction ends; in one order, so nobody deadlocks."""
    wanted = sorted(keys)
    if not wanted:
        return {}
    columns = (IncidentRow.env, IncidentRow.source, IncidentRow.queue, IncidentRow.fingerprint)
    rows = await session.scalars(
        select(IncidentRow).where(tuple_(*columns).in_(wanted)).order_by(*columns).with_for_update()
    )
    return {Key(row.env, row.source, row.queue, row.fingerprint): row for row in rows}


async def lock_silent(
    session: AsyncSession, touched_before_ms: int, sources: Collection[str], limit: int
) -> Sequence[IncidentRow]:
    """Firing incidents of these sources untouched since then, oldest first, that nobody else holds."""
    found = await session.scalars(
        select(IncidentRow)
        .where(IncidentRow.phase == Phase.FIRING, IncidentRow.touched_ms < touched_before_ms)
        .where(IncidentRow.source.in_(sources))
        .order_by(IncidentRow.touched_ms)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return found.all()


async def newest_incidents(session: AsyncSession, source: str, queue: str, limit: int) -> list[Incident]:
    """The incidents last seen most recently; of one source, of one queue, or of all where these are empty."""
    query = select(IncidentRow).order_by(IncidentRow.last_ms.desc()).limit(limit)
    if source:
        query = query.where(IncidentRow.source == key_part(source))
    if queue:
        query = query.where(IncidentRow.queue == key_part(queue))
    return [to_incident(row) for row in await session.scalars(query)]


def write(session: AsyncSession, row: IncidentRow | None, incident: Incident) -> IncidentRow:
    """Put an incident into its row, or into a new one, which has an id only after a flush."""
    if row is None:
        row = IncidentRow()
        session.add(row)
    row.env, row.source, row.queue, row.fingerprint = incident.key
    row.phase = incident.phase
    row.episode, row.count, row.total = incident.episode, incident.count, incident.total
    row.first_ms, row.last_ms, row.touched_ms = incident.first_ms, incident.last_ms, incident.touched_ms
    row.previous_ms, row.has_rung = incident.previous_ms, incident.has_rung
    row.last = asdict(incident.last)
    return row


def to_incident(row: IncidentRow) -> Incident:
    """Read a row."""
    return Incident(
        key=Key(row.env, row.source, row.queue, row.fingerprint),
        phase=Phase(row.phase),
        episode=row.episode,
        count=row.count,
        total=row.total,
        first_ms=row.first_ms,
        last_ms=row.last_ms,
        touched_ms=row.touched_ms,
        has_rung=row.has_rung,
        last=LastFailure(**row.last),
        previous_ms=row.previous_ms,
    )
