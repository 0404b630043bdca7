"""Transactions with a deadline, on a real Postgres."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import Slow
from bot.store.database import open_engine, session_within
from bot.store.migrate import migrate
from tests.eventually import eventually
from tests.integration.bot.house import Child

STOPS = """
import asyncio, os, signal, sys
from sqlalchemy import text
from bot.store.database import open_engine, session_within

async def hold():
    async with session_within(open_engine(sys.argv[1]), 5) as session:
        await session.execute(text("DELETE FROM held"))
        print("stops", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)

asyncio.run(hold())
"""
STOPS_AS_IT_MIGRATES = """
import asyncio, os, signal, sys
from bot.store import migrate
from bot.store.database import open_engine

def stop(connection):
    print("stops", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

migrate.WHOLE_SECONDS, migrate._upgrade = 1, stop
asyncio.run(migrate.migrate(open_engine(sys.argv[1])))
"""


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


async def test_what_a_stopped_process_holds_is_free_after_its_deadline(postgres_url: str, tmp_path: Path) -> None:
    engine, stopped = open_engine(postgres_url), Child(tmp_path / "stopped.log", "-c", STOPS, postgres_url)
    async with session_within(engine, 10) as session:
        await session.execute(text("CREATE TABLE held AS SELECT 1 AS one"))
    await stopped.start()
    try:
        await eventually(lambda: "stops" in stopped.output(), what="one that holds the row")
        async with session_within(engine, 20) as session:
            assert await session.scalar(text("DELETE FROM held RETURNING one")) == 1
    finally:
        await stopped.kill()
        await engine.dispose()


async def test_who_is_stopped_as_it_migrates_keeps_others_from_it_for_no_longer_than_it_may_take(
    postgres_url: str, tmp_path: Path
) -> None:
    engine = open_engine(postgres_url)
    stopped = Child(tmp_path / "stopped.log", "-c", STOPS_AS_IT_MIGRATES, postgres_url)
    await stopped.start()
    try:
        await eventually(lambda: "stops" in stopped.output(), what="one in the middle of it")
        await migrate(engine)
    finally:
        await stopped.kill()
        await engine.dispose()
