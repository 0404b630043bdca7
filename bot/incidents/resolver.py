"""What time does to incidents: they end by quiet, silences and acks end, people are reminded, others paged.

We know of the time up to which everything in Kafka is counted: an incident is quiet for long enough only by that time,
and only if the bridge has told of its source all the while. With the bridge or that Redis away, quiet means nothing.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from bot.incidents.alerts import Alerts
from bot.incidents.consume import Progress
from bot.incidents.trial import end_forgotten
from bot.queues.snapshots import Snapshots
from bot.store.database import Database
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause

log = structlog.get_logger("resolver")

LOOK_SECONDS = 5.0


async def let_time_pass(
    database: Database,
    alerts: Alerts,
    progress: Progress,
    snapshots: Snapshots,
    woken: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Look for what is over, or due, until stop."""
    while not await pause(stop, min(LOOK_SECONDS, alerts.policy.resolve_seconds / 4)):
        try:
            changed = await _look(database, alerts, progress, snapshots)
        except Unavailable as failure:
            log.info("resolving_waits", error=str(failure))
            continue
        if any(changed.values()):
            log.info("time_passed", **changed)
            woken()


async def _look(database: Database, alerts: Alerts, progress: Progress, snapshots: Snapshots) -> dict[str, int]:
    """What is over goes first: nobody is reminded of that."""
    now_ms = int(time.time() * 1000)
    changed = {"resolved": 0}
    watched, heard_ms = snapshots.watched(alerts.policy.resolve_seconds), progress.heard_ms
    if watched and heard_ms is not None:
        async with database.transaction() as session:
            changed["resolved"] = await alerts.resolve_quiet(session, now_ms=now_ms, heard_ms=heard_ms, sources=watched)
    async with database.transaction() as session:
        changed["tests_ended"] = await end_forgotten(session, alerts, now_ms=now_ms)
    async with database.transaction() as session:
        changed["summaries_ended"] = await alerts.latecomers.end(session, now_ms=now_ms)
    async with database.transaction() as session:
        changed["silences_ended"] = await alerts.end_silences(session, now_ms=now_ms)
    async with database.transaction() as session:
        changed["digested"] = await alerts.tell_digest(session, now_ms=now_ms)
    async with database.transaction() as session:
        changed["reminded"] = await alerts.wait(session, now_ms=now_ms)
    async with database.transaction() as session:
        changed["escalated"] = await alerts.escalate(session, now_ms=now_ms)
    return changed
