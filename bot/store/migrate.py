"""Bring the database to this release's tables: forward only, one bot at a time."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

MIGRATIONS = Path(__file__).parent.parent / "migrations"
LOCK = 0x746F6373
"""Key of the advisory lock; held by the transaction, so it works behind PgBouncer too."""


async def migrate(engine: AsyncEngine) -> None:
    """Run what is missing in one transaction. A second bot waits for the first and then finds nothing to do."""
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
