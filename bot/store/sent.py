"""What became of the outbox: sent, waiting, refused, dead."""

from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.routing.routes import Destination
from bot.store.models import Card
from bot.store.outbox import INCIDENT


@dataclass(frozen=True)
class Sent:
    """A message about an incident's newest episode. after_ms: from wanting it to Telegram's acceptance; None = not yet.

    note: why not.
    """

    to: Destination
    after_ms: int | None
    note: str


async def told_ms(session: AsyncSession, incident_id: int, episode: int) -> int | None:
    """When an episode of an incident was told first; None if that is not known any more."""
    about = (Card.incident_id == incident_id, Card.episode == episode)
    return await session.scalar(select(func.min(Card.created_ms)).where(*about))


async def sent_of(session: AsyncSession, incident_id: int) -> list[Sent]:
    """The messages of the newest episode of an incident, and what became of each."""
    newest = select(func.max(Card.episode)).where(Card.incident_id == incident_id).scalar_subquery()
    rows = await session.execute(
        select(Card.chat_id, Card.topic_id, Card.is_silent, Card.sent, Card.changed_ms, Card.created_ms, Card.note)
        .where(Card.incident_id == incident_id, Card.kind == INCIDENT, Card.episode == newest)
        .order_by(Card.id)
    )
    return [
        Sent(Destination(chat, topic, silent), changed - created if sent else None, note)
        for chat, topic, silent, sent, changed, created, note in rows
    ]


@dataclass(frozen=True)
class Away:
    """A chat that refuses us. note: Telegram's words. next_ms: when it is tried again, if it does not speak to us."""

    chat_id: int
    waiting: int
    note: str
    next_ms: int


@dataclass(frozen=True)
class Depth:
    """The outbox at a moment: messages waiting, since when the oldest does, chats away, and the dead of the last day.

    What waits for a chat that is away is not among the waiting. unsent_ms: when the oldest of those that are not in
    their chat at all was wanted first; None where only edits wait.
    """

    waiting: int
    oldest_ms: int | None
    unsent_ms: int | None
    away: tuple[Away, ...]
    dead: int
    dead_notes: tuple[str, ...]

    def unsent_seconds(self, now: float) -> float:
        """How long the oldest new message has waited; 0 where none does."""
        return 0.0 if self.unsent_ms is None else max(0.0, now - self.unsent_ms / 1000)


async def depth(session: AsyncSession, *, dead_since_ms: int) -> Depth:
    """Measure the outbox. A message with an edit outstanding counts from that edit."""
    is_wanted = and_(Card.state == "live", Card.wanted > Card.sent)
    # Not changed_ms: each failure more rewrites what still waits.
    unsent_ms = func.min(Card.created_ms).filter(Card.message_id.is_(None))
    waiting, oldest_ms, newly_ms = (
        await session.execute(
            select(func.count(), func.min(Card.changed_ms), unsent_ms).where(is_wanted, Card.note == "")
        )
    ).one()
    away = await session.execute(
        select(Card.chat_id, func.count(), func.max(Card.note), func.min(Card.not_before_ms))
        .where(is_wanted, Card.note != "")
        .group_by(Card.chat_id)
    )
    dead = (
        await session.execute(
            select(Card.chat_id, Card.note, func.count())
            .where(Card.state == "dead", Card.changed_ms >= dead_since_ms)
            .group_by(Card.chat_id, Card.note)
            .order_by(func.count().desc())
        )
    ).all()
    notes = tuple(f"{count} to chat {chat}: {note}" for chat, note, count in dead[:5])
    chats = tuple(Away(*row) for row in away)
    return Depth(waiting, oldest_ms, newly_ms, chats, sum(count for *_, count in dead), notes)
