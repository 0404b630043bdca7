"""What a sender does with the outbox: it claims what is due, and says what became of it."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from bot.delivery.messages import as_json
from bot.store.models import Card, ChatPace
from bot.store.outbox import DIGEST, INCIDENT, hold
from bot.store.paces import IS_FREE, hold_free, room_for_all, spend
from bot.store.unclaimed import is_unclaimed

_URGENCY = case(
    (Card.message_id.is_not(None), 3),
    (Card.kind == DIGEST, 2),
    (and_(Card.kind == INCIDENT, Card.chat_id > 0), 0),
    else_=1,
)
"""What is brought to one person (a private chat's id is theirs) goes before what rings for many, that before what has
waited for the morning anyway, and last comes what changes: of that there may be more than a chat can have, for as long
as something goes on.
"""
_EDIT_DUE = case((Card.message_id.is_not(None), Card.not_before_ms), else_=0)
"""Of edits the one that has waited longest goes first: else what changes all the time would keep back the others."""


async def claim_due(
    session: AsyncSession,
    *,
    now_ms: int,
    not_to: Collection[int],
    most: int,
    sender: str,
    lease_seconds: float,
    spared_seconds: float = 0,
) -> Sequence[Card]:
    """Claim the next message of each chat that may have one: pages, new ones, digests, edits; the oldest first.

    No other sender gets a claimed card before the lease ends; its own sender gets it again at once. A card that
    somebody is changing at this moment is left for the next time. All senders together keep to each chat's pace: a
    claim is counted as a message, whatever becomes of it. spared_seconds: Database.spared_seconds.
    """
    most = await room_for_all(session, most)
    if most <= 0:
        return []
    is_free = or_(Card.claimed_by == sender, is_unclaimed(Card.claimed_until, spared_seconds))
    is_due = and_(Card.state == "live", Card.wanted > Card.sent, is_free)
    rests = select(ChatPace.chat_id).where(ChatPace.chat_id == Card.chat_id, ~IS_FREE).exists()
    next_of_chat = (
        select(Card.id, Card.chat_id, _URGENCY.label("urgency"))
        .where(is_due, Card.not_before_ms <= now_ms, Card.chat_id.not_in(not_to), ~rests)
        .ext(distinct_on(Card.chat_id))
        .order_by(Card.chat_id, _URGENCY, _EDIT_DUE, Card.id)
        .subquery()
    )
    wanted = select(next_of_chat.c.id, next_of_chat.c.chat_id).order_by(next_of_chat.c.urgency, next_of_chat.c.id)
    chosen = {chat_id: card_id for card_id, chat_id in await session.execute(wanted.limit(most))}
    free = [chosen[chat_id] for chat_id in await hold_free(session, chosen)]
    if not free:
        return []
    held = select(Card.id).where(Card.id.in_(free), is_due).with_for_update(skip_locked=True).cte("held")
    claimed = await session.scalars(
        update(Card)
        .where(Card.id.in_(select(held.c.id)))
        .values(claimed_by=sender, claimed_until=func.clock_timestamp() + timedelta(seconds=lease_seconds))
        .returning(Card),
        execution_options={"synchronize_session": False},
    )
    cards = claimed.all()
    await spend(session, Counter(card.chat_id for card in cards))
    return cards


async def mark_sent(
    session: AsyncSession,
    card_id: int,
    version: int,
    message_id: int,
    *,
    chat_id: int,
    now_ms: int,
    not_before_ms: int,
) -> None:
    """Telegram has taken this version of a card, which is nobody's any more. not_before_ms: the earliest next edit.

    chat_id: where it is. If the card's group has moved meanwhile, the message stayed behind, as move_chat says: by its
    number in the new group an edit could meet another message.
    """
    await session.execute(
        update(Card)
        .where(Card.id == card_id, Card.sent < version)
        .values(
            sent=version,
            message_id=case((Card.chat_id == chat_id, message_id)),
            changed_ms=now_ms,
            not_before_ms=not_before_ms,
            failures=0,
            note="",
            claimed_by="",
            claimed_until=None,
        )
    )


async def mark_ended(session: AsyncSession, card_id: int, state: str, note: str, *, now_ms: int) -> None:
    """A card that will not be sent again: dead (it never arrived as wanted) or closed (its message was removed)."""
    await session.execute(update(Card).where(Card.id == card_id).values(state=state, note=note, changed_ms=now_ms))


async def send_anew(session: AsyncSession, card_id: int) -> None:
    """The message is no longer there: want it again as a new one."""
    await session.execute(update(Card).where(Card.id == card_id).values(message_id=None))


async def move_to_general(session: AsyncSession, card_id: int, version: int, text: str) -> None:
    """The topic is gone: want this version in the chat's General topic instead; a newer one will find out itself.

    Below no other message: Telegram would put it into that one's topic again.
    """
    await session.execute(
        update(Card)
        .where(Card.id == card_id, Card.wanted == version)
        .values(in_general=True, text=text, message_id=None, reply_to=None)
    )


async def make_plain(session: AsyncSession, card_id: int, version: int, text: str) -> None:
    """Telegram refused this version: want a plainer text without buttons, unless a newer one is wanted already."""
    await session.execute(
        update(Card).where(Card.id == card_id, Card.wanted == version).values(text=text, buttons=as_json(()))
    )


async def put_off(session: AsyncSession, card_id: int, not_before_ms: int) -> None:
    """A try was in vain: the next one not before then."""
    await session.execute(
        update(Card)
        .where(Card.id == card_id)
        .values(
            failures=Card.failures + 1,
            not_before_ms=func.greatest(Card.not_before_ms, not_before_ms),
            claimed_until=None,
        )
    )


async def give_back(session: AsyncSession, sender: str) -> None:
    """A sender ends: what it has claimed is free for others."""
    mine = (Card.state == "live", Card.wanted > Card.sent, Card.claimed_by == sender)
    await hold(session, *mine)
    await session.execute(update(Card).where(*mine).values(claimed_until=None))
