"""Bring the database to this release's tables: forward only, one bot at a time."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.locks import Lock

log = structlog.get_logger("migrate")

MIGRATIONS = Path(__file__).parent.parent / "migrations"
VERSION_TABLE = "bot_migrations"
LOCK_SECONDS, STATEMENT_SECONDS, WHOLE_SECONDS = 10, 60, 120
"""Of waiting for a lock, of one statement, of everything: who is late begins again. Who is stopped or cut off holds the
tables for no longer either."""


async def migrate(engine: AsyncEngine) -> None:
    """Run what is missing in one transaction. A second bot waits for the first and then finds nothing to do.

    Tables of a newer release are left as they are: a release reads what the next one has made of its tables.
    """
    async with engine.begin() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        # A cancel could hang: see bot/store/database.py.
        watchdog = asyncio.get_running_loop().call_later(WHOLE_SECONDS, driver.terminate)
        try:
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
            await connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"))
            await connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{WHOLE_SECONDS}s'"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": Lock.MIGRATION})
            await connection.run_sync(_upgrade)
        finally:
            watchdog.cancel()


def _upgrade(connection: Connection) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    stored = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    known = {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}
    if stored is not None and stored not in known:
        log.warning("tables_of_a_newer_release", revision=stored)
        return
    command.upgrade(config, "head")
