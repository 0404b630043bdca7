"""The outbox: messages wanted, sent, and dead."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.messages import Buttons, as_json
from bot.routes import Destination
from bot.store.models import Card, ChatMove

PAGE, NEW = 0, 1
"""Priorities of a message not sent yet; every edit comes after them."""


@dataclass(frozen=True)
class Subject:
    """What a card is about; all empty for a notice."""

    kind: str
    incident_id: int | None = None
    episode: int | None = None
    late_id: int | None = None


def put(session: AsyncSession, about: Subject, to: Destination, text: str, buttons: Buttons, *, now_ms: int) -> None:
    """Want a new message."""
    session.add(
        Card(
            kind=about.kind,
            incident_id=about.incident_id,
            episode=about.episode,
            late_id=about.late_id,
            chat_id=to.chat_id,
            topic_id=to.topic_id,
            is_silent=to.is_silent,
            priority=NEW,
            text=text,
            buttons=as_json(buttons),
            wanted=1,
            sent=0,
            message_id=None,
            state="live",
            note="",
            not_before_ms=0,
            created_ms=now_ms,
            changed_ms=now_ms,
        )
    )


async def rewrite(session: AsyncSession, about: Subject, text: str, buttons: Buttons, *, now_ms: int) -> None:
    """Want another text in every message about a subject; what was wanted before and not yet sent is forgotten."""
    query = update(Card).where(Card.state == "live", Card.kind == about.kind)
    if about.late_id is not None:
        query = query.where(Card.late_id == about.late_id)
    else:
        query = query.where(Card.incident_id == about.incident_id, Card.episode == about.episode)
    await session.execute(query.values(text=text, buttons=as_json(buttons), wanted=Card.wanted + 1, changed_ms=now_ms))


async def claim_due(
    session: AsyncSession, *, now_ms: int, not_to: Collection[int], most: int, sender: str, lease_seconds: float
) -> Sequence[Card]:
    """Claim the next message of each chat that may have one: unsent before edits, the oldest first.

    No other sender gets a claimed card before the lease ends; its own sender gets it again at once. Two who ask at the
    same time: the second waits for the first one's commit, and then finds the cards claimed.
    """
    is_free = or_(Card.claimed_by == sender, Card.claimed_until.is_(None), Card.claimed_until < func.clock_timestamp())
    is_due = and_(Card.state == "live", Card.wanted > Card.sent, is_free)
    next_of_chat = (
        select(Card.id)
        .where(is_due, Card.not_before_ms <= now_ms, Card.chat_id.not_in(not_to))
        .ext(distinct_on(Card.chat_id))
        .order_by(Card.chat_id, Card.message_id.is_not(None), Card.priority, Card.id)
        .limit(most)
    )
    claimed = await session.scalars(
        update(Card)
        .where(Card.id.in_(next_of_chat), is_due)
        .values(claimed_by=sender, claimed_until=func.clock_timestamp() + timedelta(seconds=lease_seconds))
        .returning(Card),
        execution_options={"synchronize_session": False},
    )
    return claimed.all()


async def mark_sent(
    session: AsyncSession, card_id: int, version: int, message_id: int, *, now_ms: int, not_before_ms: int
) -> None:
    """Telegram has taken this version of a card. not_before_ms: the earliest next edit."""
    await session.execute(
        update(Card)
        .where(Card.id == card_id)
        .values(sent=version, message_id=message_id, changed_ms=now_ms, not_before_ms=not_before_ms)
    )


async def mark_ended(session: AsyncSession, card_id: int, state: str, note: str, *, now_ms: int) -> None:
    """A card that will not be sent again: dead (it never arrived as wanted) or closed (its message was removed)."""
    await session.execute(update(Card).where(Card.id == card_id).values(state=state, note=note, changed_ms=now_ms))


async def send_anew(session: AsyncSession, card_id: int) -> None:
    """The message is no longer there: want it again as a new one."""
    await session.execute(update(Card).where(Card.id == card_id).values(message_id=None))


async def move_to_general(session: AsyncSession, card_id: int, text: str) -> None:
    """The topic is gone: want the message in the chat's General topic instead."""
    await session.execute(update(Card).where(Card.id == card_id).values(topic_id=None, text=text, message_id=None))


async def replace_text(session: AsyncSession, card_id: int, version: int, text: str) -> None:
    """Telegram could not parse this version: want a plainer text, unless a newer one is wanted already."""
    await session.execute(update(Card).where(Card.id == card_id, Card.wanted == version).values(text=text))


async def move_chat(session: AsyncSession, old: int, new: int) -> None:
    """Remember that a group has a new id, and send what waits for it there.

    The old messages stayed behind in the old group, so what was to be an edit becomes a new message.
    """
    await session.execute(
        insert(ChatMove)
        .values(old_chat_id=old, new_chat_id=new)
        .on_conflict_do_update(index_elements=["old_chat_id"], set_={"new_chat_id": new})
    )
    await session.execute(
        update(Card).where(Card.chat_id == old, Card.state == "live").values(chat_id=new, message_id=None)
    )


async def chat_moves(session: AsyncSession) -> dict[int, int]:
    """Old group id -> new one."""
    rows = await session.execute(select(ChatMove.old_chat_id, ChatMove.new_chat_id))
    return {old: new for old, new in rows}


@dataclass(frozen=True)
class Depth:
    """The outbox at a moment: messages waiting, since when the oldest does, and the dead of the last day."""

    waiting: int
    oldest_ms: int | None
    dead: int
    dead_notes: tuple[str, ...]


async def depth(session: AsyncSession, *, dead_since_ms: int) -> Depth:
    """Measure the outbox. A message with an edit outstanding counts from that edit."""
    waiting = (
        await session.execute(
            select(func.count(), func.min(Card.changed_ms)).where(Card.state == "live", Card.wanted > Card.sent)
        )
    ).one()
    dead = (
        await session.execute(
            select(Card.chat_id, Card.note, func.count())
            .where(Card.state == "dead", Card.changed_ms >= dead_since_ms)
            .group_by(Card.chat_id, Card.note)
            .order_by(func.count().desc())
        )
    ).all()
    notes = tuple(f"{count} to chat {chat}: {note}" for chat, note, count in dead[:5])
    return Depth(waiting[0], waiting[1], sum(count for *_, count in dead), notes)
