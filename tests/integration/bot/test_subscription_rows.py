"""Subscriptions on a real Postgres: a group that gets a new id keeps what it has asked for, and can end it."""

from sqlalchemy.ext.asyncio import AsyncSession

from bot.routing.chats import Chats
from bot.routing.routes import Destination, Route
from bot.settings import BotSettings
from bot.store.chats import move_chat
from bot.store.database import open_engine
from bot.store.migrate import migrate
from bot.store.subscriptions import move_subscriptions, show_data, subscribe, subscriptions, unsubscribe
from tests.unit.bot.test_routes import BASE
from tocsin.settings import read

OLD, NEW, OTHER = -1, -1001, -2


async def test_a_group_that_moved_keeps_its_subscriptions_and_may_end_them(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    await migrate(engine)
    async with AsyncSession(engine) as session, session.begin():
        for chat, topic, env in ((OLD, None, "prod"), (OLD, None, "qa"), (OLD, 5, "prod"), (OTHER, None, "prod")):
            await subscribe(session, Route(Destination(chat, topic), env), 1, "Ann")
        await show_data(session, Destination(OLD), shows=True)
        await subscribe(session, Route(Destination(NEW), "prod"), 1, "Ann")
    async with AsyncSession(engine) as session, session.begin():
        await move_chat(session, OLD, NEW)
        await move_subscriptions(session, OLD, NEW)
    async with AsyncSession(engine) as session, session.begin():
        found = sorted((one.to.chat_id, one.to.topic_id or 0, one.env) for one in await subscriptions(session))
        assert found == [(NEW, 0, "prod"), (NEW, 0, "qa"), (NEW, 5, "prod"), (OTHER, 0, "prod")]
        another_bot = Chats(read(BotSettings, {**BASE, "TELEGRAM_ALERT_CHATS": str(OLD)}))
        await another_bot.read(session)
        assert another_bot.all_destinations() == [Destination(NEW), Destination(NEW, 5), Destination(OTHER)]
        assert await show_data(session, Destination(NEW), shows=False) == 2
        assert not any(one.shows_data for one in await subscriptions(session))
        assert await unsubscribe(session, Destination(NEW), None) == 2
    await engine.dispose()
