"""Forget what is long over: Postgres keeps what goes on, logsvc keeps history."""

import asyncio

import structlog

from bot.store.database import Database
from bot.store.paces import forget_paces
from bot.store.people import forget_people
from bot.store.retention import forget, forget_audit, give_up
from bot.store.tickets import forget_access
from bot.store.updates import forget_updates
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.times import DAY_MS, current_ms

log = structlog.get_logger("forgetting")

KEEP_MS = 30 * DAY_MS
EVERY_SECONDS = 3600.0
BETWEEN_SECONDS = 1.0


async def forget_old(database: Database, stop: asyncio.Event) -> None:
    """Now and then delete, batch by batch, what has been over for 30 days (of the audit: for a year), until stop."""
    while not stop.is_set():
        gone = given_up = 0
        try:
            async with database.transaction() as session:
                now_ms = current_ms()
                given_up = await give_up(session, now_ms - KEEP_MS, now_ms=now_ms)
                gone = await forget(session, now_ms - KEEP_MS) + await forget_audit(session)
                await forget_access(session)
                await forget_people(session)
                await forget_paces(session)
                await forget_updates(session)
        except Unavailable as failure:
            log.info("forgetting_waits", error=str(failure))
        if given_up:
            log.warning("given_up", messages=given_up, mend="chats that refuse us: see /status")
        if gone:
            log.info("forgotten", rows=gone)
        await pause(stop, BETWEEN_SECONDS if gone or given_up else EVERY_SECONDS)
