"""Storms as rows. Who locks incidents, storms and messages locks them in this order, the storms all at once."""

from collections.abc import Collection, Sequence

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.delivery.messages import Buttons, as_json
from bot.incidents.failures import Key
from bot.incidents.machine import UNHEEDED, Phase
from bot.incidents.storms import WITHIN_MS, Member, Storm, takes_in
from bot.routing.routes import Destination
from bot.store.models import Card, IncidentRow, StormRow
from bot.store.outbox import NUDGE, REVOKED, STORM, Subject, put, said_anew

MOST_MEMBERS = 5000
"""In memory at once: those that nobody has before others, and what is over last."""


async def rung_lately(session: AsyncSession, env: str, now_ms: int) -> int:
    """How many incidents of an env have had a message of their own in the last minute."""
    found = select(func.count()).select_from(IncidentRow)
    lately = IncidentRow.rung_ms > now_ms - WITHIN_MS
    has_own = (IncidentRow.storm_id.is_(None), IncidentRow.held_ms.is_(None))
    return await session.scalar(found.where(IncidentRow.env == env, lately, *has_own)) or 0


async def hold_storms(session: AsyncSession, ids: Collection[int], envs: Collection[str]) -> None:
    """Hold these storms and those that still take in incidents of these envs; in one order, so that nobody deadlocks.

    Who touches the message of a storm first holds the storm: another may hold it and wait for that message.
    """
    if not ids and not envs:
        return
    wanted = or_(StormRow.id.in_(sorted(ids)), and_(StormRow.env.in_(sorted(envs)), StormRow.is_open))
    await session.execute(select(StormRow.id).where(wanted).order_by(StormRow.id).with_for_update())


async def hold_open_storm(session: AsyncSession, env: str, now_ms: int) -> StormRow | None:
    """The storm of an env that still takes in incidents, held; one that takes in no more is closed."""
    row = await session.scalar(select(StormRow).where(StormRow.env == env, StormRow.is_open).with_for_update())
    if row is not None and not takes_in(row.began_ms, row.joined_ms, now_ms):
        row.is_open = False
        await session.flush()
        return None
    return row


async def begin_storm(session: AsyncSession, env: str, now_ms: int) -> StormRow:
    """Open a storm; if another bot has just done so, that one."""
    await session.execute(
        insert(StormRow).values(env=env, began_ms=now_ms, joined_ms=now_ms, is_open=True).on_conflict_do_nothing()
    )
    held = await session.scalars(select(StormRow).where(StormRow.env == env, StormRow.is_open).with_for_update())
    return held.one()


async def storms(session: AsyncSession, ids: Collection[int]) -> list[Storm]:
    """These storms with all their members, the worst first."""
    wanted = sorted(ids)
    if not wanted:
        return []
    rows = await session.scalars(select(StormRow).where(StormRow.id.in_(wanted)).order_by(StormRow.id))
    return [await _storm(session, row) for row in rows]


async def note_told(session: AsyncSession, storm_id: int, count: int, *, now_ms: int) -> None:
    """People hear a sound about a storm now, of which nobody has taken so many failures."""
    await session.execute(
        update(StormRow).where(StormRow.id == storm_id).values(told_ms=now_ms, told_count=count),
        execution_options={"synchronize_session": "evaluate"},
    )


async def _storm(session: AsyncSession, row: StormRow) -> Storm:
    members = await _members(session, row.id, MOST_MEMBERS + 1)
    return Storm(
        row.id,
        row.env,
        row.began_ms,
        row.joined_ms,
        sorted(members[:MOST_MEMBERS], key=lambda one: (-one.count, one.id)),
        is_cut=len(members) > MOST_MEMBERS,
        told_ms=row.told_ms,
        told_count=row.told_count,
    )


async def _members(session: AsyncSession, storm_id: int, limit: int) -> Sequence[Member]:
    """Those that nobody has, then the others that go on, then what is over; of each the worst first."""
    rows = await session.execute(
        select(
            IncidentRow.id,
            IncidentRow.env,
            IncidentRow.source,
            IncidentRow.queue,
            IncidentRow.fingerprint,
            IncidentRow.last["error_type"].astext,
            IncidentRow.phase,
            IncidentRow.count,
            IncidentRow.paged,
        )
        .where(IncidentRow.storm_id == storm_id)
        .order_by(
            IncidentRow.phase.in_(UNHEEDED).desc(),
            (IncidentRow.phase != Phase.RESOLVED).desc(),
            IncidentRow.count.desc(),
            IncidentRow.id,
        )
        .limit(limit)
    )
    return [
        Member(
            row[0],
            Key(*row[1:5]),
            row[5] or "",
            Phase(row[6]),
            row[7],
            tuple((one["chat_id"], one["topic_id"]) for one in row[8]),
        )
        for row in rows
    ]


async def cards_of_storm(session: AsyncSession, storm_id: int) -> list[Card]:
    """Its messages, held; those that still live first. Not those of who was revoked: they may hear of it anew."""
    of_storm = (Card.storm_id == storm_id, Card.kind == STORM, Card.note != REVOKED)
    wanted = select(Card).where(*of_storm).order_by(Card.id).with_for_update()
    return sorted(await session.scalars(wanted), key=lambda one: one.state != "live")


async def unheeded_of_storm(session: AsyncSession, storm_id: int) -> list[tuple[int, int]]:
    """Id and episode of each of its incidents that nobody has taken."""
    which = (IncidentRow.storm_id == storm_id, IncidentRow.phase.in_(UNHEEDED))
    rows = await session.execute(select(IncidentRow.id, IncidentRow.episode).where(*which).order_by(IncidentRow.id))
    return [(row[0], row[1]) for row in rows]


async def open_of_storm(session: AsyncSession, chat_id: int, message_id: int, limit: int) -> list[int]:
    """The incidents that go on, the worst first, of the storm that a message of ours is about."""
    storm_id = await session.scalar(
        select(Card.storm_id)
        .where(Card.chat_id == chat_id, Card.message_id == message_id, Card.storm_id.is_not(None))
        .limit(1)
    )
    if storm_id is None:
        return []
    goes_on = (IncidentRow.storm_id == storm_id, IncidentRow.phase != Phase.RESOLVED)
    wanted = select(IncidentRow.id).where(*goes_on).order_by(IncidentRow.count.desc(), IncidentRow.id).limit(limit)
    return list(await session.scalars(wanted))


def rewrite_card(card: Card, text: str, buttons: Buttons, *, now_ms: int) -> None:
    """Want another text in one message, which is held."""
    if card.text != text:
        card.text, card.buttons = text, as_json(buttons)
        card.wanted, card.changed_ms = card.wanted + 1, now_ms


async def nudge_below(
    session: AsyncSession, storm: Card, to: Destination, text: str, buttons: Buttons, *, now_ms: int
) -> None:
    """Want a new message below a storm's; where one is not sent yet, it says the new text.

    A storm's message that has not been sent itself needs none: it will make its own sound.
    """
    if storm.message_id is None:
        return
    unsent = (Card.storm_id == storm.storm_id, Card.kind == NUDGE, Card.state == "live", Card.sent == 0)
    changed = await session.execute(
        update(Card)
        .where(*unsent, Card.chat_id == to.chat_id, Card.reply_to == storm.message_id)
        .values(**said_anew(text, buttons, now_ms))
        .returning(Card.id),
        execution_options={"synchronize_session": False},
    )
    if not changed.all():
        about = Subject(NUDGE, storm_id=storm.storm_id)
        below, in_general = storm.message_id, storm.in_general
        put(session, about, to, text, buttons, now_ms=now_ms, reply_to=below, in_general=in_general)
