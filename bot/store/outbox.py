"""The outbox: messages wanted, sent, and dead."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    and_,
    case,
    column,
    func,
    or_,
    select,
    tuple_,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import JSONB, distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.delivery.messages import Buttons, as_json
from bot.routing.routes import Destination
from bot.store.models import Card, ChatMove, ChatPace
from bot.store.paces import IS_FREE, hold_free, room_for_all, spend

ONLY_PRIORITY = 1
"""The column is there for the release before this one."""

INCIDENT, NUDGE, REMINDER, LATE, NOTICE = "incident", "nudge", "reminder", "late", "notice"
STORM, ACTION, DIGEST = "storm", "action", "digest"
"""Kinds of messages. Only incident, late, storm and action are edited once they are sent."""

REMINDING = 0x746F6373
"""Whoever wants reminders holds this lock of Postgres until its transaction ends."""

REVOKED = "revoked"
"""The note of a card that was closed because who reads it was revoked."""
ALERTS = (INCIDENT, NUDGE, REMINDER, LATE, STORM, DIGEST)


@dataclass(frozen=True)
class Subject:
    """What a card is about; all empty for a notice."""

    kind: str
    incident_id: int | None = None
    episode: int | None = None
    late_id: int | None = None
    storm_id: int | None = None
    action_id: int | None = None


def put(
    session: AsyncSession,
    about: Subject,
    to: Destination,
    text: str,
    buttons: Buttons,
    *,
    now_ms: int,
    reply_to: int | None = None,
    message_id: int | None = None,
    in_general: bool = False,
) -> None:
    """Want a new message. reply_to: the message in that chat below which it is shown.

    message_id: one that is there already is to be edited from now on instead. in_general: see Card.
    """
    session.add(
        Card(
            kind=about.kind,
            incident_id=about.incident_id,
            episode=about.episode,
            late_id=about.late_id,
            storm_id=about.storm_id,
            action_id=about.action_id,
            chat_id=to.chat_id,
            topic_id=to.topic_id,
            in_general=in_general,
            is_silent=to.is_silent,
            priority=ONLY_PRIORITY,
            text=text,
            buttons=as_json(buttons),
            wanted=1,
            sent=0,
            message_id=message_id,
            reply_to=reply_to,
            state="live",
            note="",
            not_before_ms=0,
            created_ms=now_ms,
            changed_ms=now_ms,
        )
    )


@dataclass(frozen=True)
class Rewrite:
    """The text that an incident's messages of one episode are to have."""

    incident_id: int
    episode: int
    text: str
    buttons: Buttons


async def rewrite_incidents(
    session: AsyncSession, wanted: Sequence[Rewrite], *, now_ms: int, at_once: bool = False
) -> None:
    """Want other texts in the messages about incidents; what was wanted before and not yet sent is forgotten.

    at_once: a person is waiting to see it.
    """
    if not wanted:
        return
    subject = tuple_(Card.incident_id, Card.episode)
    is_live = (Card.state == "live", Card.kind == INCIDENT)
    await _hold(session, *is_live, subject.in_([(one.incident_id, one.episode) for one in wanted]))
    given = values(
        column("incident_id", BigInteger),
        column("episode", Integer),
        column("text", Text),
        column("buttons", JSONB),
        name="given",
    ).data([(one.incident_id, one.episode, one.text, as_json(one.buttons)) for one in wanted])
    # A card with a note is put off because its chat refuses us.
    soon = {"not_before_ms": case((Card.note == "", 0), else_=Card.not_before_ms)} if at_once else {}
    await session.execute(
        update(Card)
        .where(*is_live, Card.incident_id == given.c.incident_id, Card.episode == given.c.episode)
        .values(text=given.c.text, buttons=given.c.buttons, wanted=Card.wanted + 1, changed_ms=now_ms, **soon),
        execution_options={"synchronize_session": False},
    )


async def nudge(session: AsyncSession, wanted: Rewrite, *, now_ms: int) -> None:
    """Want a new message below each message of an incident; where one is not sent yet, it says the new text.

    A message that has not been sent itself needs none: it will make its own sound, with this count.
    """
    mine = (Card.incident_id == wanted.incident_id, Card.episode == wanted.episode, Card.state == "live")
    await _hold(session, *mine, Card.kind == NUDGE, Card.sent == 0)
    changed = await session.execute(
        update(Card)
        .where(*mine, Card.kind == NUDGE, Card.sent == 0)
        .values(**said_anew(wanted.text, wanted.buttons, now_ms))
        .returning(Card.reply_to, Card.chat_id),
        execution_options={"synchronize_session": False},
    )
    still_unsent = {(reply_to, chat_id) for reply_to, chat_id in changed}
    cards = await session.execute(
        select(Card.chat_id, Card.topic_id, Card.in_general, Card.is_silent, Card.message_id)
        .where(*mine, Card.kind == INCIDENT, Card.message_id.is_not(None))
        .order_by(Card.id)
    )
    about = Subject(NUDGE, wanted.incident_id, wanted.episode)
    for chat_id, topic_id, in_general, is_silent, message_id in cards:
        if (message_id, chat_id) not in still_unsent:
            put(
                session,
                about,
                Destination(chat_id, topic_id, is_silent),
                wanted.text,
                wanted.buttons,
                now_ms=now_ms,
                reply_to=message_id,
                in_general=in_general,
            )


async def nudge_in(session: AsyncSession, to: Destination, wanted: Rewrite, *, now_ms: int) -> bool:
    """The same in one place, with a sound even in a silent one; False if the incident has no message there."""
    mine = (Card.incident_id == wanted.incident_id, Card.episode == wanted.episode, Card.state == "live")
    here = (Card.chat_id == to.chat_id, Card.topic_id.is_not_distinct_from(to.topic_id))
    told = select(Card).where(*mine, *here, Card.kind.in_((INCIDENT, NUDGE))).order_by(Card.id).with_for_update()
    cards = (await session.scalars(told)).all()
    alert = next((one for one in cards if one.kind == INCIDENT), None)
    if alert is None:
        return False
    # A group that moved has left messages behind that are not sent again: they have no id either.
    unsent = next((one for one in cards if one.message_id is None and one.wanted > one.sent), None)
    is_under_way = unsent is not None and unsent.claimed_until is not None
    if unsent is not None and not (is_under_way and unsent.is_silent):
        unsent.is_silent = False
        if unsent.kind == NUDGE:
            await session.execute(
                update(Card).where(Card.id == unsent.id).values(**said_anew(wanted.text, wanted.buttons, now_ms))
            )
    else:  # what may be at Telegram already, without a sound, makes none any more
        about, to = Subject(NUDGE, wanted.incident_id, wanted.episode), replace(to, is_silent=False)
        below, in_general = alert.message_id, alert.in_general
        put(session, about, to, wanted.text, wanted.buttons, now_ms=now_ms, reply_to=below, in_general=in_general)
    return True


def said_anew(text: str, buttons: Buttons, now_ms: int) -> dict[str, Any]:
    """What changes of a message that is not sent yet, as far as is known: Telegram may just have the text before, which
    is to be edited then.
    """
    return {"text": text, "buttons": as_json(buttons), "wanted": Card.wanted + 1, "changed_ms": now_ms}


async def put_reminder(session: AsyncSession, to: Destination, text: str, buttons: Buttons, *, now_ms: int) -> None:
    """Want a reminder; one that waits for the same place says the new text instead.

    Two bots remind of different incidents at once: the second waits until the first's reminder is there.
    """
    await session.execute(select(func.pg_advisory_xact_lock(REMINDING)))
    waiting = (
        Card.kind == REMINDER,
        Card.state == "live",
        Card.sent == 0,
        Card.chat_id == to.chat_id,
        Card.topic_id.is_not_distinct_from(to.topic_id),
    )
    changed = await session.execute(
        update(Card)
        .where(*waiting)
        .values(**said_anew(text, buttons, now_ms), is_silent=to.is_silent)
        .returning(Card.id),
        execution_options={"synchronize_session": False},
    )
    if not changed.all():
        put(session, Subject(REMINDER), to, text, buttons, now_ms=now_ms)


async def rewrite_late(session: AsyncSession, late_id: int, text: str, *, now_ms: int) -> None:
    """Want another text in the message of a late summary."""
    await session.execute(
        update(Card)
        .where(Card.state == "live", Card.late_id == late_id)
        .values(text=text, wanted=Card.wanted + 1, changed_ms=now_ms),
        execution_options={"synchronize_session": False},
    )


async def rewrite_action(session: AsyncSession, action_id: int, text: str, buttons: Buttons, *, now_ms: int) -> None:
    """Want another text in the message about an action."""
    await session.execute(
        update(Card)
        .where(Card.state == "live", Card.action_id == action_id, Card.text != text)
        .values(text=text, buttons=as_json(buttons), wanted=Card.wanted + 1, changed_ms=now_ms),
        execution_options={"synchronize_session": False},
    )


async def _hold(session: AsyncSession, *which: ColumnElement[bool]) -> None:
    """Lock cards until the transaction ends. All who change several do it in this one order, so nobody deadlocks."""
    held = select(Card.id).where(*which).order_by(Card.id).with_for_update().cte("held")
    await session.execute(select(func.count()).select_from(held))


_URGENCY = case(
    (Card.kind == DIGEST, 3),
    (Card.message_id.is_not(None), 2),
    (and_(Card.kind == INCIDENT, Card.chat_id > 0), 0),
    else_=1,
)
"""What is brought to one person (a private chat's id is theirs) goes before what rings for many, that before what
changes, and last comes what has waited for the morning anyway.
"""


async def claim_due(
    session: AsyncSession, *, now_ms: int, not_to: Collection[int], most: int, sender: str, lease_seconds: float
) -> Sequence[Card]:
    """Claim the next message of each chat that may have one: pages, new ones, edits, digests; the oldest first.

    No other sender gets a claimed card before the lease ends; its own sender gets it again at once. A card that
    somebody is changing at this moment is left for the next time. All senders together keep to each chat's pace: a
    claim is counted as a message, whatever becomes of it.
    """
    most = await room_for_all(session, most)
    if most <= 0:
        return []
    is_free = or_(Card.claimed_by == sender, Card.claimed_until.is_(None), Card.claimed_until < func.clock_timestamp())
    is_due = and_(Card.state == "live", Card.wanted > Card.sent, is_free)
    rests = select(ChatPace.chat_id).where(ChatPace.chat_id == Card.chat_id, ~IS_FREE).exists()
    next_of_chat = (
        select(Card.id, Card.chat_id, _URGENCY.label("urgency"))
        .where(is_due, Card.not_before_ms <= now_ms, Card.chat_id.not_in(not_to), ~rests)
        .ext(distinct_on(Card.chat_id))
        .order_by(Card.chat_id, _URGENCY, Card.id)
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
    session: AsyncSession, card_id: int, version: int, message_id: int, *, now_ms: int, not_before_ms: int
) -> None:
    """Telegram has taken this version of a card, which is nobody's any more. not_before_ms: the earliest next edit."""
    await session.execute(
        update(Card)
        .where(Card.id == card_id, Card.sent < version)
        .values(
            sent=version,
            message_id=message_id,
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


async def close_chat(session: AsyncSession, chat_id: int, *, now_ms: int) -> None:
    """Who reads a chat is to hear of no alert any more: what it knows of is changed no more, what waits is not sent."""
    alerts = (Card.chat_id == chat_id, Card.state == "live", Card.kind.in_(ALERTS))
    await _hold(session, *alerts)
    await session.execute(
        update(Card).where(*alerts).values(state="closed", note=REVOKED, changed_ms=now_ms),
        execution_options={"synchronize_session": False},
    )


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
    await _hold(session, *mine)
    await session.execute(update(Card).where(*mine).values(claimed_until=None))


async def put_chat_off(session: AsyncSession, chat_id: int, failures: int, note: str, not_before_ms: int) -> None:
    """The chat refuses us: what waits for it is not tried before then, all of it, or before `let_in`."""
    waiting = (Card.chat_id == chat_id, Card.state == "live", Card.wanted > Card.sent)
    await _hold(session, *waiting)
    await session.execute(
        update(Card)
        .where(*waiting)
        .values(
            failures=func.greatest(Card.failures, failures),
            not_before_ms=func.greatest(Card.not_before_ms, not_before_ms),
            note=note,
        )
    )


async def let_in(session: AsyncSession, chats: Collection[int]) -> None:
    """These chats let us in again: what waits for them is due now."""
    waiting = (Card.chat_id.in_(chats), Card.state == "live", Card.wanted > Card.sent, Card.note != "")
    await _hold(session, *waiting)
    await session.execute(update(Card).where(*waiting).values(failures=0, not_before_ms=0, note=""))


async def away(session: AsyncSession) -> set[int]:
    """The chats that refuse us while something waits for them."""
    waiting = (Card.state == "live", Card.wanted > Card.sent, Card.note != "")
    return set(await session.scalars(select(Card.chat_id).where(*waiting).distinct()))


async def move_chat(session: AsyncSession, old: int, new: int) -> None:
    """Remember that a group has a new id, and send what waits for it there.

    The old messages stayed behind in the old group, so what was to be an edit becomes a new message.
    """
    await session.execute(
        insert(ChatMove)
        .values(old_chat_id=old, new_chat_id=new)
        .on_conflict_do_update(index_elements=["old_chat_id"], set_={"new_chat_id": new})
    )
    here = (Card.chat_id == old, Card.state == "live")
    await _hold(session, *here)
    await session.execute(update(Card).where(*here).values(chat_id=new, message_id=None, reply_to=None))


async def chat_moves(session: AsyncSession) -> dict[int, int]:
    """Old group id -> new one."""
    rows = await session.execute(select(ChatMove.old_chat_id, ChatMove.new_chat_id))
    return {old: new for old, new in rows}


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
