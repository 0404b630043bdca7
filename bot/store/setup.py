"""Make the database ready, however long it takes to come up."""

import asyncio

import structlog

from bot.chats import Chats
from bot.store.database import POSTGRES, SICK, Database
from bot.store.migrate import migrate
from bot.store.outbox import chat_moves
from tocsin.breakers import Unavailable
from tocsin.health import Health
from tocsin.lifecycle import pause

log = structlog.get_logger("store")

RETRY_SECONDS = 2.0


async def set_up(database: Database, chats: Chats, health: Health, stop: asyncio.Event) -> bool:
    """Migrate, and load what is kept in memory; return False if stop came first."""
    while not stop.is_set():
        try:
            await migrate(database.engine)
            async with database.transaction() as session:
                chats.learn(await chat_moves(session))
        except (Unavailable, *SICK) as failure:
            log.warning("postgres_awaited", error=type(failure).__name__, retry_seconds=RETRY_SECONDS)
            await pause(stop, RETRY_SECONDS)
            continue
        health.ok(POSTGRES)
        return True
    return False
