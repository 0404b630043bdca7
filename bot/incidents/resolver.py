"""What time does to incidents: they end by quiet, silences and acks end, people are reminded, others paged.

We know of the time up to which everything in Kafka is counted: an incident is quiet for long enough only by that time,
and only if the bridge has told of its source all the while. With the bridge or that Redis away, quiet means nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from bot.errors import Slow
from bot.incidents.alerts import AT_ONCE, MOST_DUE, MOST_HELD, Alerts
from bot.incidents.consume import Progress
from bot.incidents.trial import end_forgotten
from bot.queues.snapshots import Snapshots
from bot.store.database import Database, Session
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.times import current_ms

log = structlog.get_logger("resolver")

LOOK_SECONDS = 5.0
MORE_SHARE = 20
"""By how much of the most a chore takes more again after it had to take less: a twentieth."""


@dataclass
class Chore:
    """One thing that time does, in a transaction of its own: what keeps it from being done keeps no other.

    act: of so many at most, at a time (ms); returns how many. most: how many are taken at once; fewer after they were
    not done in time.
    """

    name: str
    act: Callable[[Session, int, int], Awaitable[int]]
    most: int = AT_ONCE
    now_most: int = field(init=False)

    def __post_init__(self) -> None:
        self.now_most = self.most

    async def do(self, database: Database, now_ms: int) -> int:
        """Do what is due now, or leave it for the next look."""
        try:
            async with database.transaction() as session:
                done = await self.act(session, now_ms, self.now_most)
        except Unavailable as failure:
            if isinstance(failure, Slow):
                self.now_most = max(1, self.now_most // 2)
            log.warning("chore_waits", chore=self.name, error=str(failure), next_at_once=self.now_most)
            return 0
        self.now_most = min(self.most, self.now_most + max(1, self.most // MORE_SHARE))
        return done


async def let_time_pass(
    database: Database,
    alerts: Alerts,
    progress: Progress,
    snapshots: Snapshots,
    woken: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Look for what is over, or due, until stop."""
    chores = chores_of(alerts, progress, snapshots)
    while not await pause(stop, min(LOOK_SECONDS, alerts.policy.resolve_seconds / 4)):
        changed: dict[str, int] = {}
        for chore in chores:
            if not stop.is_set():
                changed[chore.name] = await chore.do(database, current_ms())
        if any(changed.values()):
            log.info("time_passed", **changed)
            woken()


def chores_of(alerts: Alerts, progress: Progress, snapshots: Snapshots) -> Sequence[Chore]:
    """In this order: what is over goes first, for nobody is reminded of that."""

    async def resolve(session: Session, now_ms: int, most: int) -> int:
        watched, heard_ms = snapshots.watched(alerts.policy.resolve_seconds), progress.heard_ms
        if not watched or heard_ms is None:
            return 0
        return await alerts.resolve_quiet(session, now_ms=now_ms, heard_ms=heard_ms, sources=watched, most=most)

    return (
        Chore("resolved", resolve),
        Chore("tests_ended", lambda session, now_ms, _: end_forgotten(session, alerts, now_ms=now_ms)),
        Chore("summaries_ended", lambda session, now_ms, _: alerts.latecomers.end(session, now_ms=now_ms)),
        Chore("silences_ended", lambda session, now_ms, most: alerts.end_silences(session, now_ms=now_ms, most=most)),
        Chore(
            "digested", lambda session, now_ms, most: alerts.tell_digest(session, now_ms=now_ms, most=most), MOST_HELD
        ),
        Chore("reminded", lambda session, now_ms, most: alerts.wait(session, now_ms=now_ms, most=most), MOST_DUE),
        Chore("escalated", lambda session, now_ms, most: alerts.escalate(session, now_ms=now_ms, most=most)),
    )
