"""A house for each test of the bot, or a database with its tables."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.incidents.alerts import Alerts
from bot.incidents.handling import Handling
from bot.metrics import Metrics
from bot.people.seal import Seal
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.routing.quiet import parse_quiet_hours
from bot.routing.routes import Destination
from bot.rules.policy import Policy
from bot.rules.rulebook import RuleBook
from bot.settings import BotSettings
from bot.store.database import Database, open_engine
from bot.store.migrate import migrate
from tests.integration.bot.house import House
from tests.integration.bot.incident_rows import ADMIN, BOSS
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.settings import read


@pytest.fixture
async def engine(postgres_url: str) -> AsyncGenerator[AsyncEngine]:
    """A database of this test's own, with the bot's tables."""
    one = open_engine(postgres_url)
    await migrate(one)
    yield one
    await one.dispose()


@pytest.fixture
def alerts() -> Alerts:
    """Alerts with quiet hours, and somebody to whom they escalate."""
    quiet = parse_quiet_hours("prod=22:00-06:00")
    policy = Policy(escalate_seconds=900, escalate_to=(Destination(BOSS),), quiet_hours=quiet)
    chats, metrics = Chats(read(BotSettings, {**BASE, "TELEGRAM_ADMINS": str(ADMIN)})), Metrics(CollectorRegistry())
    return Alerts(chats, RuleBook(policy), metrics, Links(""), Seal("secret"))


@pytest.fixture
def handling(engine: AsyncEngine, alerts: Alerts) -> Handling:
    """What people do to incidents."""
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    return Handling(database, alerts, woken=lambda: None)


@pytest.fixture
async def house(kafka_bootstrap: str, topic_prefix: str, postgres_url: str, tmp_path: Path) -> AsyncGenerator[House]:
    """Kafka topics, a Postgres database and a sandbox of this test's own; a bot is started by the test."""
    one = House(kafka_bootstrap, topic_prefix, postgres_url, tmp_path)
    try:
        await one.open()
        yield one
    finally:
        await one.close()
        for bot in one.bots:  # shown by pytest when the test fails
            print(bot.output()[-6000:])
