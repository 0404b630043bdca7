"""The outbox: what is to be said where, in its newest words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    case,
    column,
    func,
    select,
    tuple_,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from bot.delivery.messages import Buttons, as_json
from bot.routing.routes import Destination
from bot.store.locks import Lock
from bot.store.models import Card

ONLY_PRIORITY = 1
"""The column is there for the release before this one."""

INCIDENT, NUDGE, REMINDER, LATE, NOTICE = "incident", "nudge", "reminder", "late", "notice"
STORM, ACTION, DIGEST = "storm", "action", "digest"
"""Kinds of messages. Only incident, late, storm and action are edited once they are sent."""

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
    await hold(session, *is_live, subject.in_([(one.incident_id, one.episode) for one in wanted]))
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
    await hold(session, *mine, Card.kind == NUDGE, Card.sent == 0)
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
    await session.execute(select(func.pg_advisory_xact_lock(Lock.REMINDERS)))
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


async def hold(session: AsyncSession, *which: ColumnElement[bool]) -> None:
    """Lock cards until the transaction ends. All who change several do it in this one order, so nobody deadlocks."""
    held = select(Card.id).where(*which).order_by(Card.id).with_for_update().cte("held")
    await session.execute(select(func.count()).select_from(held))
