"""How Tocsin itself is, as far as the bot can tell without asking anybody: answering /status takes no remote call."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from bot.delivery.pacing import Pacer
from bot.incidents.alerts import Alerts
from bot.incidents.consume import Progress
from bot.metrics import Metrics
from bot.queues.snapshots import Snapshots
from bot.store.database import Database
from bot.store.dispatches import Backlog, backlogs
from bot.store.sent import Depth, depth
from bot.telegram import Polling
from bot.turns import Turns
from bot.vitals.heartbeat import Heartbeat
from tocsin.breakers import Breakers, Unavailable
from tocsin.lifecycle import pause
from tocsin.times import DAY_MS, current_ms

log = structlog.get_logger("pulse")

SAMPLE_SECONDS = 5.0
RIVAL_SECONDS = 120


@dataclass
class Pulse:
    """What /status tells; its own sample of the outbox has an age too."""

    breakers: Breakers
    progress: Progress
    snapshots: Snapshots
    polling: Polling
    alerts: Alerts
    pacer: Pacer
    metrics: Metrics
    heartbeat: Heartbeat
    turns: Turns
    has_alert_chats: Callable[[], bool]
    outbox: Depth | None = None
    backlogs: Sequence[Backlog] = ()
    outbox_at: float | None = None
    outbox_problem: str = ""
    clock: Callable[[], float] = time.monotonic

    async def sample(self, database: Database, stop: asyncio.Event) -> None:
        """Measure the outbox now and then, until stop."""
        while not stop.is_set():
            try:
                async with database.transaction() as session:
                    since_ms = current_ms() - DAY_MS
                    self.outbox = await depth(session, dead_since_ms=since_ms)
                    self.backlogs = await backlogs(session, dead_since_ms=since_ms)
                self.outbox_at, self.outbox_problem = self.clock(), ""
                self.metrics.outbox.set(self.outbox.waiting)
                self.metrics.unsent.set(self.outbox.unsent_seconds(time.time()))
                self.metrics.away.set(sum(one.waiting for one in self.outbox.away))
            except Unavailable as failure:
                self.outbox_problem = str(failure)
                log.info("outbox_not_measured", error=str(failure))
            await pause(stop, SAMPLE_SECONDS)

    @property
    def has_rival(self) -> bool:
        """Whether another process has polled with our token lately."""
        since = self.seconds_since(self.polling.conflict_at)
        return since is not None and since < RIVAL_SECONDS

    @property
    def read_ago(self) -> float | None:
        """How many seconds ago failures were read last: what is known of incidents is as old. None = not yet."""
        return self.seconds_since(self.progress.read_at)

    def seconds_since(self, at: float | None) -> float | None:
        """Age of a monotonic time; None of none."""
        return None if at is None else max(0.0, self.clock() - at)
