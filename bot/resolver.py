"""Resolve incidents by silence; but only while we know that we would have heard.

We would have, if everything in Kafka is read, and if the bridge has told of the incident's source all that time: with
the bridge or that Redis away, silence means nothing.
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
HEARD_SECONDS = 5.0


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
        watched = snapshots.watched(alerts.policy.resolve_seconds)
        if not watched or not hears(progress, time.monotonic()):
            continue
        try:
            async with database.transaction() as session:
                resolved = await alerts.resolve_silent(session, now_ms=int(time.time() * 1000), sources=watched)
        except Unavailable as failure:
            log.info("resolving_waits", error=str(failure))
            continue
        if resolved:
            log.info("incidents_resolved", count=resolved)
            woken()


def hears(progress: Progress, now: float) -> bool:
    """Whether silence in Kafka means something: everything there is has been read, just now."""
    return progress.lag == 0 and progress.read_at is not None and now - progress.read_at < HEARD_SECONDS
