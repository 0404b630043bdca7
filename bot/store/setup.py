"""Make the database ready, however long it takes to come up."""

import asyncio

import structlog

from bot.routing.chats import Chats
from bot.store.database import POSTGRES, SICK, Database
from bot.store.migrate import migrate
from tocsin.breakers import Unavailable
from tocsin.health import Health
from tocsin.lifecycle import pause

log = structlog.get_logger("store")

RETRY_SECONDS = 2.0
NO_RIGHT = "42501"
MEND_NO_RIGHT = (
    "let the role in DATABASE_URL make tables: GRANT CREATE ON SCHEMA public TO …, or make it the database's owner; "
    "since PostgreSQL 15 nobody else may by default"
)


async def set_up(database: Database, chats: Chats, health: Health, stop: asyncio.Event) -> bool:
    """Migrate, and load what is kept in memory; return False if stop came first."""
    while not stop.is_set():
        try:
            await migrate(database.engine)
            async with database.transaction() as session:
                await chats.read(session)
        except (Unavailable, *SICK) as failure:
            log.warning("postgres_awaited", **_told(failure), retry_seconds=RETRY_SECONDS)
            await pause(stop, RETRY_SECONDS)
            continue
        health.ok(POSTGRES)
        return True
    return False


def _told(failure: Exception) -> dict[str, str]:
    """What Postgres said, for the log: SQLSTATE, first line, and what mends it where that is known."""
    said = getattr(failure, "orig", None) or failure
    code = str(getattr(said, "sqlstate", None) or "")
    told = {"error": type(failure).__name__, "sqlstate": code, "reason": (f"{said}".splitlines() or [""])[0][:200]}
    if code == NO_RIGHT:
        told["mend"] = MEND_NO_RIGHT
    return told
