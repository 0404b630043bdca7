"""Subscriptions as rows."""

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from bot.incidents.failures import stored
from bot.routing.routes import Destination, Route, Subscription
from bot.store.models import SubscriptionRow

MOST = 500
"""In all. Every bot holds them in memory."""


class TooMany(Exception):
    """There are MOST subscriptions already."""


async def subscriptions(session: AsyncSession) -> list[Subscription]:
    """All of them, the oldest first."""
    rows = await session.scalars(select(SubscriptionRow).order_by(SubscriptionRow.id).limit(MOST))
    return [_read(row) for row in rows]


async def subscribe(session: AsyncSession, route: Route, user_id: int, name: str) -> None:
    """Let a place hear of what the route matches; asked again, only the sound changes. Raises TooMany."""
    count = await session.scalar(select(func.count()).select_from(SubscriptionRow))
    if (count or 0) >= MOST:
        raise TooMany
    values = {
        "chat_id": route.to.chat_id,
        "topic_id": route.to.topic_id,
        "env": route.env,
        "source": route.source,
        "queue": route.queue,
        "is_silent": route.to.is_silent,
        "shows_data": False,
        "by_id": user_id,
        "by_name": stored(name, 100),
    }
    place = (SubscriptionRow.chat_id, func.coalesce(SubscriptionRow.topic_id, 0))
    await session.execute(
        insert(SubscriptionRow)
        .values(values)
        .on_conflict_do_update(
            index_elements=[*place, SubscriptionRow.env, SubscriptionRow.source, SubscriptionRow.queue],
            set_={"is_silent": route.to.is_silent},
        )
    )


async def unsubscribe(session: AsyncSession, to: Destination, number: int | None) -> int:
    """End one subscription of a place, or all of them; return how many."""
    which = [*_of(to), *([SubscriptionRow.id == number] if number is not None else [])]
    gone = await session.execute(delete(SubscriptionRow).where(*which).returning(SubscriptionRow.id))
    return len(gone.all())


async def move_subscriptions(session: AsyncSession, old: int, new: int) -> None:
    """A group has a new id: what it has asked for is asked for there. What is there already stays as it is."""
    there = aliased(SubscriptionRow)
    same = select(there.id).where(
        there.chat_id == new,
        there.topic_id.is_not_distinct_from(SubscriptionRow.topic_id),
        there.env == SubscriptionRow.env,
        there.source == SubscriptionRow.source,
        there.queue == SubscriptionRow.queue,
    )
    here = SubscriptionRow.chat_id == old
    in_postgres = {"synchronize_session": False}
    await session.execute(delete(SubscriptionRow).where(here, same.exists()), execution_options=in_postgres)
    await session.execute(update(SubscriptionRow).where(here).values(chat_id=new), execution_options=in_postgres)


async def show_data(session: AsyncSession, to: Destination, *, shows: bool) -> int:
    """Set for all subscriptions of a place whether payloads and log lines may be shown; return how many it has."""
    changed = await session.execute(
        update(SubscriptionRow).where(*_of(to)).values(shows_data=shows).returning(SubscriptionRow.id),
        execution_options={"synchronize_session": False},
    )
    return len(changed.all())


def _of(to: Destination) -> list[ColumnElement[bool]]:
    return [SubscriptionRow.chat_id == to.chat_id, SubscriptionRow.topic_id.is_not_distinct_from(to.topic_id)]


def _read(row: SubscriptionRow) -> Subscription:
    return Subscription(
        Destination(row.chat_id, row.topic_id, row.is_silent),
        row.env,
        row.source,
        row.queue,
        id=row.id,
        shows_data=row.shows_data,
        by=row.by_name,
    )
