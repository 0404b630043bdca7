"""Which of Telegram's updates have changed something: it tells one again that a killed bot did not say it has."""

from datetime import timedelta

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.models import UpdateRow

KEEP = timedelta(days=30)


async def is_news(session: AsyncSession, update_id: int) -> bool:
    """Note that an update is acted on in this transaction; False if it was before, or is in another that commits."""
    noted = insert(UpdateRow).values(update_id=update_id).on_conflict_do_nothing().returning(UpdateRow.update_id)
    return await session.scalar(noted) is not None


async def forget_updates(session: AsyncSession) -> None:
    """Delete what Telegram has long ceased to tell."""
    await session.execute(delete(UpdateRow).where(UpdateRow.heard_at < func.now() - KEEP))
