"""Chats of the outbox that refuse us, let us in again, have another id, or are to hear no more."""

from collections.abc import Collection

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.models import Card, ChatMove
from bot.store.outbox import ALERTS, REVOKED, hold


async def close_chat(session: AsyncSession, chat_id: int, *, now_ms: int) -> None:
    """Who reads a chat is to hear of no alert any more: what it knows of is changed no more, what waits is not sent."""
    alerts = (Card.chat_id == chat_id, Card.state == "live", Card.kind.in_(ALERTS))
    await hold(session, *alerts)
    await session.execute(
        update(Card).where(*alerts).values(state="closed", note=REVOKED, changed_ms=now_ms),
        execution_options={"synchronize_session": False},
    )


async def put_chat_off(session: AsyncSession, chat_id: int, failures: int, note: str, not_before_ms: int) -> None:
    """The chat refuses us: what waits for it is not tried before then, all of it, or before `let_in`."""
    waiting = (Card.chat_id == chat_id, Card.state == "live", Card.wanted > Card.sent)
    await hold(session, *waiting)
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
    await hold(session, *waiting)
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
    await hold(session, *here)
    await session.execute(update(Card).where(*here).values(chat_id=new, message_id=None, reply_to=None))


async def chat_moves(session: AsyncSession) -> dict[int, int]:
    """Old group id -> new one."""
    rows = await session.execute(select(ChatMove.old_chat_id, ChatMove.new_chat_id))
    return {old: new for old, new in rows}
