"""Resolve incidents by silence; but only while we know that we would have heard.

We know of the time up to which everything in Kafka is counted: an incident is silent for long enough only by that time,
and only if the bridge has told of its source all the while. With the bridge or that Redis away, silence means nothing.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from bot.alerts import Alerts
from bot.consume import Progress
from bot.snapshots import Snapshots
from bot.store.database import Database
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause

log = structlog.get_logger("resolver")

LOOK_SECONDS = 5.0


async def resolve_silent(
    database: Database,
    alerts: Alerts,
    progress: Progress,
    snapshots: Snapshots,
    woken: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Look for silent incidents until stop."""
    while not await pause(stop, min(LOOK_SECONDS, alerts.policy.resolve_seconds / 4)):
        watched, heard_ms = snapshots.watched(alerts.policy.resolve_seconds), progress.heard_ms
        if not watched or heard_ms is None:
            continue
        now_ms = int(time.time() * 1000)
        try:
            async with database.transaction() as session:
                resolved = await alerts.resolve_silent(session, now_ms=now_ms, heard_ms=heard_ms, sources=watched)
        except Unavailable as failure:
            log.info("resolving_waits", error=str(failure))
            continue
        if resolved:
            log.info("incidents_resolved", count=resolved)
            woken()
