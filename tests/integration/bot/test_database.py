"""Transactions with a deadline, on a real Postgres."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import Slow
from bot.store.database import open_engine, session_within
from tests.eventually import eventually


async def sleep_long(engine: AsyncEngine) -> None:
    async with session_within(engine, 1) as session:
        await session.execute(text("SELECT pg_sleep(60)"))


async def go_on_when_aborted(engine: AsyncEngine) -> None:
    """As where a connection is aborted between two steps of asyncpg: it meets None, and raises AttributeError."""
    async with session_within(engine, 1) as session:
        connection = await (await session.connection()).get_raw_connection()
        driver: Any = connection.driver_connection
        await eventually(driver.is_closed, what="the deadline")
        await driver._executemany("SELECT $1::int", [(1,)], None)


async def err(engine: AsyncEngine) -> None:
    async with session_within(engine, 60):
        raise AttributeError("a mistake of ours")


async def test_past_its_deadline_a_transaction_is_slow_wherever_its_connection_is_aborted(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    for aborted in (sleep_long, go_on_when_aborted):
        with pytest.raises(Slow):
            await aborted(engine)
    with pytest.raises(AttributeError):
        await err(engine)
    await engine.dispose()
