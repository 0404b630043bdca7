"""A house for each test of the bot."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.integration.bot.house import House


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
