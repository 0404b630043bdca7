"""What waits to be sent and is too old to be of use: dropped, and said where it would have come. Never an alert."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import and_, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.machine import UNHEEDED
from bot.routing.routes import Destination
from bot.store.incidents import IS_TOLD
from bot.store.models import Card, IncidentRow
from bot.store.outbox import INCIDENT, LATE, NUDGE, REMINDER, STORM
from bot.store.unclaimed import is_unclaimed
from tocsin.times import HOUR_MS

EDIT_KEEPS_MS = 6 * HOUR_MS
"""A message that has not changed for so long is about something that does not go on."""
MOST = 1000
TOO_LATE = "too old to be of use"


@dataclass(frozen=True)
class Dropped:
    """What a place is not told any more. edits: messages there that do not say how it ended. sounds: reminders."""

    to: Destination
    edits: int
    sounds: int


async def drop_stale(session: AsyncSession, *, now_ms: int, spared_seconds: float = 0) -> list[Dropped]:
    """Drop reminders of what somebody has taken meanwhile, or is over; and edits that have waited for hours.

    A chat that does not let us in keeps what waits until it does. What is being sent at this moment is left alone.
    spared_seconds: Database.spared_seconds.
    """
    goes_on = (
        select(IncidentRow.id)
        .where(IncidentRow.id == Card.incident_id, IncidentRow.episode == Card.episode)
        .where(IncidentRow.phase.in_(UNHEEDED))
        .exists()
    )
    storm_goes_on = (
        select(IncidentRow.id).where(IncidentRow.storm_id == Card.storm_id, IncidentRow.phase.in_(UNHEEDED)).exists()
    )
    anything = select(IncidentRow.id).where(IncidentRow.phase.in_(UNHEEDED), IS_TOLD).exists()
    is_sound = and_(
        Card.message_id.is_(None),
        or_(and_(Card.kind == NUDGE, ~goes_on, ~storm_goes_on), and_(Card.kind == REMINDER, ~anything)),
    )
    is_edit = and_(
        Card.message_id.is_not(None),
        Card.kind.in_((INCIDENT, LATE, STORM)),
        Card.changed_ms < now_ms - EDIT_KEEPS_MS,
    )
    is_free = is_unclaimed(Card.claimed_until, spared_seconds)
    is_due = and_(Card.state == "live", Card.wanted > Card.sent, Card.note == "", is_free)
    held = (
        select(Card.id)
        .where(is_due, or_(is_sound, is_edit))
        .order_by(Card.id)
        .limit(MOST)
        .with_for_update(skip_locked=True)
        .cte("held")
    )
    dropped = await session.execute(
        update(Card)
        .where(Card.id.in_(select(held.c.id)))
        .values(
            sent=Card.wanted,
            state=case((Card.message_id.is_(None), "closed"), else_=Card.state),
            note=case((Card.message_id.is_(None), TOO_LATE), else_=Card.note),
        )
        .returning(Card.chat_id, Card.topic_id, Card.message_id.is_not(None)),
        execution_options={"synchronize_session": False},
    )
    counts = Counter((chat_id, topic_id, is_edit) for chat_id, topic_id, is_edit in dropped)
    places = dict.fromkeys((chat_id, topic_id) for chat_id, topic_id, _ in counts)
    return [
        Dropped(Destination(*place, is_silent=True), edits=counts[(*place, True)], sounds=counts[(*place, False)])
        for place in places
    ]
