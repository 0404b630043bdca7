"""Incidents as rows. Whoever locks silences and incidents locks the silences first, so that nobody deadlocks."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Select, and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.failures import Key, LastFailure, key_part
from bot.incidents.machine import UNHEEDED, Ack, Deploy, Incident, Note, Paged, Phase
from bot.incidents.silences import Scope
from bot.rules.policy import STALLED_RULE
from bot.store.models import Card, IncidentRow

IS_OPEN = IncidentRow.phase != Phase.RESOLVED
IS_TOLD = or_(IncidentRow.has_rung, IncidentRow.told_count > 0)
IS_AWAKE = and_(IS_TOLD, IncidentRow.held_ms.is_(None))
IS_TOO_FEW = and_(
    IncidentRow.fingerprint == f"rule:{STALLED_RULE}", ~IncidentRow.has_rung, IncidentRow.phase.in_(UNHEEDED)
)
"""Counted, but not enough to ring: nobody has to take it."""
PLACE = (IncidentRow.env, IncidentRow.source, IncidentRow.queue)
MOST_COVERED = 2000
"""Incidents in memory at once while a silence begins or ends."""
MOST_UNHEEDED = 10_000


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


async def lock_numbered(session: AsyncSession, ids: Collection[int]) -> Sequence[IncidentRow]:
    """The same by their ids."""
    columns = (IncidentRow.env, IncidentRow.source, IncidentRow.queue, IncidentRow.fingerprint)
    wanted = select(IncidentRow).where(IncidentRow.id.in_(ids)).order_by(*columns).with_for_update()
    return (await session.scalars(wanted)).all()


async def lock_incident(session: AsyncSession, incident_id: int) -> IncidentRow | None:
    """Fetch one incident and hold it until the transaction ends."""
    return await session.get(IncidentRow, incident_id, with_for_update=True, populate_existing=True)


async def lock_quiet(
    session: AsyncSession, touched_before_ms: int, sources: Collection[str], limit: int
) -> Sequence[IncidentRow]:
    """Open incidents of these sources untouched since then, oldest first, that nobody else holds; none of a rule."""
    wanted = (
        select(IncidentRow)
        .where(IS_OPEN, IncidentRow.rule == "", IncidentRow.touched_ms < touched_before_ms)
        .where(IncidentRow.source.in_(sources))
        .order_by(IncidentRow.touched_ms)
    )
    return await _free(session, wanted, limit)


async def lock_open_since(
    session: AsyncSession, fingerprint: str, touched_before_ms: int, limit: int
) -> Sequence[IncidentRow]:
    """Open incidents of this fingerprint untouched since then, that nobody else holds."""
    wanted = select(IncidentRow).where(
        IS_OPEN, IncidentRow.fingerprint == fingerprint, IncidentRow.touched_ms < touched_before_ms
    )
    return await _free(session, wanted, limit)


async def lock_of_source(session: AsyncSession, source: str, limit: int) -> Sequence[IncidentRow]:
    """Open incidents of a source, that nobody else holds."""
    wanted = select(IncidentRow).where(IS_OPEN, IncidentRow.source == source).order_by(IncidentRow.id)
    return await _free(session, wanted, limit)


async def sources_of_open(session: AsyncSession) -> set[str]:
    """The sources that anything open belongs to."""
    return set(await session.scalars(select(IncidentRow.source).where(IS_OPEN).distinct()))


async def lock_waiting(
    session: AsyncSession, *, told_before_ms: int, acked_before_ms: int, limit: int
) -> Sequence[IncidentRow]:
    """Open incidents for which a reminder is due, or whose ack ends, that nobody else holds."""
    is_unheeded = and_(IncidentRow.phase.in_(UNHEEDED), IS_AWAKE, IncidentRow.told_ms <= told_before_ms)
    is_taken = and_(IncidentRow.phase == Phase.ACKED, IncidentRow.acked_ms <= acked_before_ms)
    return await _free(
        session, select(IncidentRow).where(or_(is_unheeded, is_taken)).order_by(IncidentRow.told_ms), limit
    )


@dataclass(frozen=True)
class Unheeded:
    """An incident that nobody has taken, in short. paged: chat and topic of those it was brought to by name."""

    id: int
    key: Key
    paged: tuple[tuple[int, int | None], ...]


async def unheeded_now(session: AsyncSession) -> list[Unheeded]:
    """What people have heard of and nobody has taken, the worst first."""
    columns = (IncidentRow.env, IncidentRow.source, IncidentRow.queue, IncidentRow.fingerprint, IncidentRow.paged)
    rows = await session.execute(
        select(IncidentRow.id, *columns)
        .where(IncidentRow.phase.in_(UNHEEDED), IS_AWAKE)
        .order_by(IncidentRow.count.desc(), IncidentRow.id)
        .limit(MOST_UNHEEDED)
    )
    return [
        Unheeded(number, Key(*key), tuple((one["chat_id"], one["topic_id"]) for one in paged))
        for number, *key, paged in rows
    ]


async def mark_told(session: AsyncSession, ids: Collection[int], *, now_ms: int) -> None:
    """People have heard a sound about these; one that somebody else holds is being told of anyway."""
    held = select(IncidentRow.id).where(IncidentRow.id.in_(ids)).with_for_update(skip_locked=True).cte("held")
    await session.execute(
        update(IncidentRow).where(IncidentRow.id.in_(select(held.c.id))).values(told_ms=now_ms),
        execution_options={"synchronize_session": False},
    )


async def read_incidents(session: AsyncSession, ids: Collection[int]) -> dict[int, Incident]:
    """Incidents by their ids."""
    return {
        row.id: to_incident(row) for row in await session.scalars(select(IncidentRow).where(IncidentRow.id.in_(ids)))
    }


async def lock_due_pages(session: AsyncSession, now_ms: int, limit: int) -> Sequence[IncidentRow]:
    """Open incidents that nobody has taken in time, that nobody else holds; none that waits for a digest."""
    is_due = (IncidentRow.page_due_ms <= now_ms, IncidentRow.phase.in_(UNHEEDED), IncidentRow.held_ms.is_(None))
    return await _free(session, select(IncidentRow).where(*is_due).order_by(IncidentRow.page_due_ms), limit)


async def unpage(session: AsyncSession, chat_id: int) -> int:
    """Open incidents were brought to a person who is to hear of them no more; return how many."""
    columns = (IncidentRow.env, IncidentRow.source, IncidentRow.queue, IncidentRow.fingerprint)
    wanted = select(IncidentRow).where(IS_OPEN, IncidentRow.paged.contains([{"chat_id": chat_id}]))
    rows = (await session.scalars(wanted.order_by(*columns).with_for_update())).all()
    for row in rows:
        row.paged = [one for one in row.paged if one["chat_id"] != chat_id]
    return len(rows)


async def held_places(session: AsyncSession) -> list[tuple[str, str, str]]:
    """Env, source and queue of what waits for a digest, that which has waited longest first."""
    held = select(*PLACE).where(IncidentRow.held_ms.is_not(None)).group_by(*PLACE)
    rows = await session.execute(held.order_by(func.min(IncidentRow.held_ms), *PLACE))
    return [(row[0], row[1], row[2]) for row in rows]


async def lock_held(session: AsyncSession, places: Sequence[tuple[str, str, str]], limit: int) -> Sequence[IncidentRow]:
    """Incidents of these places that wait for a digest. Who holds one of them is waited for: it is to be told too."""
    waits = (IncidentRow.held_ms.is_not(None), tuple_(*PLACE).in_(places))
    oldest = await session.scalars(select(IncidentRow.id).where(*waits).order_by(IncidentRow.held_ms).limit(limit))
    return [row for row in await lock_numbered(session, oldest.all()) if row.held_ms is not None]


async def held_incidents(session: AsyncSession, limit: int) -> list[tuple[int, Incident]]:
    """Incidents that wait for a digest, the worst first."""
    wanted = (
        select(IncidentRow).where(IncidentRow.held_ms.is_not(None)).order_by(IncidentRow.count.desc(), IncidentRow.id)
    )
    return [(row.id, to_incident(row)) for row in await session.scalars(wanted.limit(limit))]


async def count_held(session: AsyncSession) -> int:
    """How many wait for a digest."""
    found = select(func.count()).select_from(IncidentRow).where(IncidentRow.held_ms.is_not(None))
    return await session.scalar(found) or 0


async def _free(session: AsyncSession, wanted: Select[IncidentRow], limit: int) -> Sequence[IncidentRow]:
    return (await session.scalars(wanted.limit(limit).with_for_update(skip_locked=True))).all()


async def lock_covered(session: AsyncSession, scope: Scope, after: Key | None) -> Sequence[IncidentRow]:
    """The next MOST_COVERED open incidents within a scope, by their keys, held until the transaction ends."""
    columns = (IncidentRow.env, IncidentRow.source, IncidentRow.queue, IncidentRow.fingerprint)
    within = [column == part for column, part in zip(columns, scope.parts, strict=True) if part]
    within += [tuple_(*columns) > tuple_(*after)] if after is not None else []
    rows = await session.scalars(
        select(IncidentRow).where(IS_OPEN, *within).order_by(*columns).limit(MOST_COVERED).with_for_update()
    )
    return rows.all()


async def newest_failures(session: AsyncSession, source: str, queue: str, limit: int, *, but: str) -> list[Incident]:
    """The incidents of failed jobs last seen most recently; of one source, of one queue, or of all where these are
    empty. but: a fingerprint that is none of them.
    """
    is_job = (IncidentRow.fingerprint != but, ~IncidentRow.fingerprint.startswith("rule:"))
    query = select(IncidentRow).where(*is_job).order_by(IncidentRow.last_ms.desc()).limit(limit)
    if source:
        query = query.where(IncidentRow.source == key_part(source))
    if queue:
        query = query.where(IncidentRow.queue == key_part(queue))
    return [to_incident(row) for row in await session.scalars(query)]


@dataclass(frozen=True)
class Open:
    """What is open: how many, how many of them nobody has taken, and a page with ids."""

    count: int
    unheeded: int
    page: list[tuple[int, Incident]]


async def open_incidents(session: AsyncSession, *, offset: int, limit: int) -> Open:
    """A page of the open incidents: what nobody has taken first, then the newest."""
    wanted = (IS_OPEN, ~IS_TOO_FEW)
    is_unheeded = IncidentRow.phase.in_(UNHEEDED)
    counts = select(func.count(), func.count().filter(is_unheeded)).select_from(IncidentRow).where(*wanted)
    count, unheeded = (await session.execute(counts)).one()
    rows = await session.scalars(
        select(IncidentRow)
        .where(*wanted)
        .order_by(is_unheeded.desc(), IncidentRow.last_ms.desc(), IncidentRow.id)
        .offset(offset)
        .limit(limit)
    )
    return Open(count, unheeded, [(row.id, to_incident(row)) for row in rows])


async def unheeded_of_place(session: AsyncSession, place: tuple[str, str, str]) -> list[tuple[int, int]]:
    """Id and episode of everything of a queue that nobody has taken."""
    mine = (column == key_part(part) for column, part in zip(PLACE, place, strict=True))
    wanted = select(IncidentRow.id, IncidentRow.episode).where(*mine, IncidentRow.phase.in_(UNHEEDED), ~IS_TOO_FEW)
    return [(row[0], row[1]) for row in await session.execute(wanted.order_by(IncidentRow.id))]


async def places_called(session: AsyncSession, said: str) -> set[tuple[str, str, str]]:
    """Env, source and queue of what is open and called so: a queue, `source/queue` or `env/queue`."""
    env, source, queue = PLACE
    said = key_part(said)
    is_meant = or_(queue == said, source + "/" + queue == said, env + "/" + queue == said)
    rows = await session.execute(select(*PLACE).where(IS_OPEN, is_meant).distinct())
    return {(row[0], row[1], row[2]) for row in rows}


async def list_incidents(
    session: AsyncSession,
    *,
    phases: Collection[str],
    only: Mapping[str, Sequence[str]],
    before: tuple[int, int] | None,
    limit: int,
) -> list[tuple[int, Incident]]:
    """Incidents with ids, last seen the newest first. phases: empty = any. only: column -> any of these.

    before: the last_ms and the id of the last one of the page before.
    """
    newest_first = (IncidentRow.last_ms.desc(), IncidentRow.id.desc())
    query = select(IncidentRow).where(~IS_TOO_FEW).order_by(*newest_first).limit(limit)
    if phases:
        query = query.where(IncidentRow.phase.in_(phases))
    for column, values in only.items():
        query = query.where(getattr(IncidentRow, column).in_([key_part(one) for one in values]))
    if before is not None:
        query = query.where(tuple_(IncidentRow.last_ms, IncidentRow.id) < before)
    return [(row.id, to_incident(row)) for row in await session.scalars(query)]


async def find_incident(session: AsyncSession, incident_id: int) -> Incident | None:
    """One incident as it is now."""
    row = await session.get(IncidentRow, incident_id)
    return to_incident(row) if row else None


async def incident_of_message(session: AsyncSession, chat_id: int, message_id: int) -> int | None:
    """The id of the incident that a message of ours is about."""
    return await session.scalar(
        select(Card.incident_id)
        .where(Card.chat_id == chat_id, Card.message_id == message_id, Card.incident_id.is_not(None))
        .limit(1)
    )


def write(session: AsyncSession, row: IncidentRow | None, incident: Incident) -> IncidentRow:
    """Put an incident into its row, or into a new one, which has an id only after a flush."""
    if row is None:
        row = IncidentRow()
        session.add(row)
    if row.episode != incident.episode:
        row.page_due_ms, row.storm_id = None, None  # that was the last one's; this one may not ring, or by itself
    row.env, row.source, row.queue, row.fingerprint = incident.key
    row.phase, row.rule = incident.phase, incident.rule
    row.episode, row.count, row.total = incident.episode, incident.count, incident.total
    row.first_ms, row.last_ms, row.touched_ms = incident.first_ms, incident.last_ms, incident.touched_ms
    row.previous_ms, row.previous_by, row.has_rung = incident.previous_ms, incident.previous_by, incident.has_rung
    row.acked_by = incident.ack.user_id if incident.ack else None
    row.acked_ms = incident.ack.at_ms if incident.ack else None
    row.taken_by, row.silenced_until_ms, row.hidden = incident.taken_by, incident.silenced_until_ms, incident.hidden
    row.told_ms, row.told_count = incident.told_ms, incident.told_count
    row.last, row.workers = asdict(incident.last), dict(incident.workers)
    row.notes = [asdict(one) for one in incident.notes]
    row.paged = [asdict(one) for one in incident.paged]
    row.deploy = asdict(incident.deploy) if incident.deploy else None
    return row


def to_incident(row: IncidentRow) -> Incident:
    """Read a row."""
    is_acked = row.acked_by is not None and row.acked_ms is not None
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
        previous_by=row.previous_by,
        ack=Ack(row.acked_by or 0, row.taken_by, row.acked_ms or 0) if is_acked else None,
        taken_by=row.taken_by,
        silenced_until_ms=row.silenced_until_ms,
        hidden=row.hidden,
        told_ms=row.told_ms,
        told_count=row.told_count,
        workers=row.workers,
        notes=tuple(Note(**one) for one in row.notes),
        rule=row.rule,
        paged=tuple(Paged(**one) for one in row.paged or ()),
        deploy=Deploy(**row.deploy) if row.deploy else None,
    )
