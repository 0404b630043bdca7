"""A house for each test of the bot."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.database import open_engine
from bot.store.migrate import migrate
from tests.integration.bot.house import House


@pytest.fixture
async def engine(postgres_url: str) -> AsyncGenerator[AsyncEngine]:
    """A database of this test's own, with the bot's tables."""
    one = open_engine(postgres_url)
    await migrate(one)
    yield one
    await one.dispose()


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
