"""Postgres' tables: from every earlier revision, with rows in them, to what the code says, and nothing lost."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from bot.routing.routes import Destination
from bot.store.database import session_within
from bot.store.duty import shifts_on
from bot.store.late import lock_over
from bot.store.locks import Lock
from bot.store.migrate import MIGRATIONS, VERSION_TABLE, migrate
from bot.store.models import Base
from bot.store.outbox import put_reminder

VALUES: dict[type[Any], Any] = {
    **{int: 7, str: "seven", bool: True, float: 7.0, bytes: b"7", object: {"seven": 7}},
    **{datetime: datetime(2026, 11, 26, tzinfo=UTC), uuid.UUID: uuid.UUID(int=7)},
}
"""A value of each type; object is what SQLAlchemy says of JSON."""
FIRST = 1
"""The id of the only row of another table."""


def config_of(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes.update(connection=connection, version_table=VERSION_TABLE)
    return config


REVISIONS = [one.revision for one in ScriptDirectory.from_config(config_of()).walk_revisions()][::-1]


def furnish(connection: Connection) -> dict[str, int]:
    """Put a row into every table there is; return how many each has."""
    there = sa.MetaData()
    there.reflect(connection)
    for table in there.sorted_tables:
        if table.name == VERSION_TABLE:
            continue
        row = {
            column.name: FIRST if column.foreign_keys else VALUES[column.type.python_type]
            for column in table.columns
            if column.server_default is None and not column.identity
        }
        connection.execute(table.insert().values(row))
    return {name: rows_of(connection, name) for name in there.tables}


def rows_of(connection: Connection, table: str) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one()


def differences(connection: Connection) -> list[Any]:
    """What the tables lack of the models, and have beyond them."""

    def is_ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        return kind != "table" or name != VERSION_TABLE

    context = MigrationContext.configure(connection, opts={"include_object": is_ours, "compare_type": True})
    return compare_metadata(context, Base.metadata)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_tables_of_every_revision_come_to_this_one_with_their_rows(postgres_url: str, revision: str) -> None:
    engine = create_async_engine(postgres_url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(config_of(sync), revision))
            before = await connection.run_sync(furnish)
        await migrate(engine)
        await migrate(engine)  # a second bot finds nothing to do
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
            after = {name: await connection.run_sync(rows_of, name) for name in before}
        assert after == before
        assert sum(before.values()) > 5
    finally:
        await engine.dispose()


async def test_channels_are_not_told_after_an_upgrade_that_summaries_of_weeks_ago_are_over(postgres_url: str) -> None:
    now_ms = int(time.time() * 1000)
    week_ago, just_now = now_ms - 7 * 86_400_000, now_ms - 60_000
    insert = sa.text(
        "INSERT INTO late_summaries (chat_id, touched_ms, failures, first_ms, last_ms, kinds)"
        " VALUES (1, :touched_ms, 1, 1, 1, '{}')"
    )
    engine = create_async_engine(postgres_url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(config_of(sync), "0018"))
            await connection.execute(insert, [{"touched_ms": at_ms} for at_ms in (week_ago, just_now)])
        await migrate(engine)
        async with AsyncSession(engine) as session:
            over = await lock_over(session, now_ms, limit=10)
            assert [one.touched_ms for one in over] == [just_now]
    finally:
        await engine.dispose()


async def test_whoever_was_on_call_before_somebody_else_is_not_again_after_an_upgrade(postgres_url: str) -> None:
    now_ms = int(time.time() * 1000)
    insert = sa.text("INSERT INTO shifts (user_id, name, from_ms, until_ms, by_name) VALUES (:who, '', 1, :until, '')")
    engine = create_async_engine(postgres_url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(config_of(sync), "0022"))
            await connection.execute(insert, [{"who": 1, "until": None}, {"who": 2, "until": now_ms + 60_000}])
        await migrate(engine)
        async with AsyncSession(engine) as session:
            assert [one.user_id for one in await shifts_on(session, now_ms + 30_000)] == [2]
    finally:
        await engine.dispose()


async def test_who_reminds_does_not_wait_for_who_migrates_and_for_the_tables_it_uses_itself(
    engine: AsyncEngine,
) -> None:
    async with AsyncSession(engine) as migrates, migrates.begin(), session_within(engine, 5) as reminds:
        await migrates.execute(sa.select(sa.func.pg_advisory_xact_lock(Lock.MIGRATION)))
        await put_reminder(reminds, Destination(1), "", (), now_ms=1)
