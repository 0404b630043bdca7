"""How fast all bots together speak to a chat: two senders on one outbox have one chat's budget between them.

Each budget is one time, moved on by every message: a chat may have a message while that time is less than a burst
ahead of now (the generic cell rate algorithm, ITU-T I.371). Times are Postgres' own, so that no bot's clock matters.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.delivery.pacing import (
    CHAT_BURST,
    CHAT_PER_SECOND,
    GROUP_BURST,
    GROUP_PER_MINUTE,
    MOST_DEBT,
    OVERALL_PER_SECOND,
)
from bot.store.models import ChatPace

ALL_CHATS = 0
"""The row of all chats together; no chat has this id."""
NOW = func.clock_timestamp()
KEEP = timedelta(hours=1)
EACH_SECOND, EACH_MINUTE = timedelta(seconds=1 / CHAT_PER_SECOND), timedelta(seconds=60 / GROUP_PER_MINUTE)
EACH_OF_ALL = timedelta(seconds=1 / OVERALL_PER_SECOND)
AHEAD_SECOND, AHEAD_MINUTE = EACH_SECOND * (CHAT_BURST - 1), EACH_MINUTE * (GROUP_BURST - 1)
AHEAD_OF_ALL = EACH_OF_ALL * (OVERALL_PER_SECOND - 1)

IS_FREE: ColumnElement[bool] = and_(
    ChatPace.frozen_until <= NOW, ChatPace.second_at <= NOW + AHEAD_SECOND, ChatPace.minute_at <= NOW + AHEAD_MINUTE
)
"""Whether a chat may have a message now; one without a row may."""


async def room_for_all(session: AsyncSession, most: int) -> int:
    """How many messages may go out now over all chats, up to so many."""
    ahead = func.extract("epoch", ChatPace.second_at - NOW)
    found = await session.scalar(select(ahead).where(ChatPace.chat_id == ALL_CHATS))
    if found is None or found <= 0:
        return most
    return max(0, min(most, int((AHEAD_OF_ALL.total_seconds() - float(found)) / EACH_OF_ALL.total_seconds()) + 1))


async def hold_free(session: AsyncSession, chats: Collection[int]) -> list[int]:
    """Those of these chats that may have a message now, held, so that two bots do not use one budget at once."""
    wanted = sorted(set(chats))
    if not wanted:
        return []
    rows = [{"chat_id": one} for one in (ALL_CHATS, *wanted)]
    await session.execute(insert(ChatPace).values(rows).on_conflict_do_nothing())
    held = select(ChatPace.chat_id).where(ChatPace.chat_id.in_(wanted), IS_FREE).order_by(ChatPace.chat_id)
    return list(await session.scalars(held.with_for_update(skip_locked=True)))


async def spend(session: AsyncSession, messages: Mapping[int, int]) -> None:
    """Count messages, chat -> how many; also answers, which wait for no budget, so that alerts wait for them a little.

    The row of all chats comes last, and then nothing more in that transaction: others wait for it, holding chats.
    What answers can take in advance has an end: however much people ask, an alert must not wait long behind them.
    """
    for chat_id, count in sorted(messages.items()):
        await session.execute(insert(ChatPace).values(chat_id=chat_id).on_conflict_do_nothing())
        await _spend(session, ChatPace.chat_id == chat_id, count, EACH_SECOND, AHEAD_SECOND)
    if messages:
        await _spend(session, ChatPace.chat_id == ALL_CHATS, sum(messages.values()), EACH_OF_ALL, AHEAD_OF_ALL)


async def _spend(
    session: AsyncSession, which: ColumnElement[bool], count: int, each: timedelta, ahead: timedelta
) -> None:
    second = func.greatest(ChatPace.second_at, NOW) + each * count
    minute = func.greatest(ChatPace.minute_at, NOW) + EACH_MINUTE * count
    await session.execute(
        update(ChatPace)
        .where(which)
        .values(
            second_at=func.least(second, NOW + ahead + each * (1 + MOST_DEBT)),
            minute_at=case(
                (ChatPace.chat_id < 0, func.least(minute, NOW + AHEAD_MINUTE + EACH_MINUTE * (1 + MOST_DEBT))),
                else_=ChatPace.minute_at,
            ),
        ),
        execution_options={"synchronize_session": False},
    )


async def freeze(session: AsyncSession, chat_id: int, seconds: float) -> None:
    """Telegram asked for silence in this chat, of whichever bot."""
    until: Any = NOW + timedelta(seconds=seconds)
    made = insert(ChatPace).values(chat_id=chat_id, frozen_until=until)
    await session.execute(
        made.on_conflict_do_update(
            index_elements=["chat_id"],
            set_={"frozen_until": func.greatest(ChatPace.frozen_until, made.excluded.frozen_until)},
        )
    )


async def frozen(session: AsyncSession) -> dict[int, float]:
    """Chats that must not be spoken to -> seconds left."""
    left = func.extract("epoch", ChatPace.frozen_until - NOW)
    rows: Sequence[Any] = (
        await session.execute(select(ChatPace.chat_id, left).where(ChatPace.frozen_until > NOW))
    ).all()
    return {chat_id: float(seconds) for chat_id, seconds in rows}


async def forget_paces(session: AsyncSession) -> None:
    """Delete the rows of chats that nobody has spoken to for an hour: they say no more than none. Held ones stay."""
    is_past = and_(*(one < NOW - KEEP for one in (ChatPace.second_at, ChatPace.minute_at, ChatPace.frozen_until)))
    past = select(ChatPace.chat_id).where(ChatPace.chat_id != ALL_CHATS, is_past)
    held = past.with_for_update(skip_locked=True).cte("held")
    await session.execute(
        delete(ChatPace).where(ChatPace.chat_id.in_(select(held.c.chat_id))),
        execution_options={"synchronize_session": False},
    )
