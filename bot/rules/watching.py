"""Look at what is measured, let the rules judge it, and store what they remember with the incidents it makes."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from bot.errors import Unfit
from bot.incidents.alerts import Alerts
from bot.metrics import Metrics
from bot.queues.snapshots import Snapshots
from bot.queues.tables import Table
from bot.rules.board import Board, Change, World
from bot.rules.conditions import Habit
from bot.store.database import Database
from bot.store.milestones import WATCHED, reach, reached_ms
from bot.store.watches import read_watches, store_watches
from tocsin.breakers import Unavailable
from tocsin.events import SchedulerSnapshot, SourceSnapshot
from tocsin.lifecycle import pause
from tocsin.times import current_ms

log = structlog.get_logger("watching")

LOOK_SECONDS = 2.0
AT_ONCE = 200
ADOPT_SECONDS = 60.0
READ_LATELY_SECONDS = 15.0
"""Kafka is read every half second; if it was not for so long, that a source is silent says nothing of the bridge."""


@dataclass
class Tables:
    """Everything rules look at, as the bot has read it.

    gone: sources that are no longer there, whatever rows say; kept up to date by Departures.
    """

    snapshots: Snapshots
    schedules: Table[SchedulerSnapshot] = field(default_factory=lambda: Table(SchedulerSnapshot))
    sources: Table[SourceSnapshot] = field(init=False)
    habits: Callable[[], Mapping[tuple[str, str], Habit]] = dict
    behind_seconds: Callable[[], float | None] = lambda: None
    gone: frozenset[str] = frozenset()
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.sources = Table(SourceSnapshot, told=self.snapshots.hear_of)

    def world(self) -> World:
        """As it is now."""
        tables, heard = (self.snapshots, self.schedules, self.sources), self.sources.heard
        gone = self.gone
        queues = self.snapshots.by_place()
        rows = [one for one in self.schedules.rows.values() if one.source not in gone]
        return World(
            queues={place: one for place, one in queues.items() if one.source not in gone} if gone else queues,
            schedules={(one.source, one.queue, one.scheduler): one for one in rows},
            sources={one.source: one for one in self.sources.rows.values() if one.source not in gone},
            skew_ms=dict(self.snapshots.skew_ms),
            silent_seconds=self._silent(),
            unheard=frozenset(one.source for key, one in self.sources.rows.items() if not heard[key].is_live),
            is_whole=all(one.has_caught_up for one in tables),
            habits=self.habits(),
            behind_seconds=self.behind_seconds(),
        )

    def reported(self, seconds: float) -> set[str]:
        """The sources that a bridge has told of within so many seconds, as we heard it."""
        now, rows = self.clock(), self.sources.rows
        heard = [(rows[key].source, one) for key, one in self.sources.heard.items() if key in rows]
        live = {source for source, one in heard if one.is_live and now - one.at <= seconds}
        return live | set(self.snapshots.watched(0))

    def known(self) -> set[str]:
        """The sources that a bridge has ever told of, as far as Kafka keeps it."""
        return {one.source for one in (*self.sources.rows.values(), *self.snapshots.all())}

    @property
    def is_listening(self) -> bool:
        """Whether we have read all there is, and do so now."""
        now = self.clock()
        times = [one.read_at if one.has_caught_up else None for one in (self.sources, self.snapshots)]
        return all(at is not None and now - at <= READ_LATELY_SECONDS for at in times)

    def _silent(self) -> Mapping[str, float]:
        now, read_at = self.clock(), self.sources.read_at
        if read_at is None or now - read_at > READ_LATELY_SECONDS:
            return {}
        rows = self.sources.rows
        return {rows[key].source: now - one.at for key, one in self.sources.heard.items() if key in rows}


@dataclass
class Watching:
    """One for the process. woken: called after a commit that wants messages.

    is_settled: whether every source's queues have been seen, so that a first look sees what was there before us. Until
    then only a Redis, the bridge and Tocsin are looked at: where no queue can be seen, one of these is why.
    """

    database: Database
    alerts: Alerts
    tables: Tables
    board: Board
    metrics: Metrics
    is_settled: Callable[[], bool]
    woken: Callable[[], None]
    has_begun: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stop. What a look found is stored before the next."""
        adopted_at = time.monotonic()
        while not stop.is_set():
            try:
                self.has_begun = self.has_begun or await self._begin(stop)
                if self.has_begun and time.monotonic() - adopted_at >= ADOPT_SECONDS:
                    await self._adopt()
                    adopted_at = time.monotonic()
                await self._look(stop)
            except Unavailable as failure:
                log.info("watching_waits", error=str(failure))
            await pause(stop, LOOK_SECONDS)

    async def _begin(self, stop: asyncio.Event) -> bool:
        """Go on from what was stored; at the first start of all, from what is in trouble already.

        What has been looked at before, a Redis say, may be due to ring in just this look, or to end.
        """
        now_ms = current_ms()
        async with self.database.transaction() as session:
            self.board.adopt(await read_watches(session), now_ms=now_ms)
            if await reached_ms(session, WATCHED) is not None:
                return True
        if not self.is_settled():
            return False
        changes = self.board.begin(self.tables.world(), now_ms=now_ms)
        told = [one for one in changes if one.finding is not None]
        kept = [one for one in changes if one.finding is None]
        async with self.database.transaction() as session:
            await reach(session, WATCHED, now_ms)
            await store_watches(session, kept)
        self.board.accept(kept)
        log.info("watching_begins", in_trouble_already=len(kept))
        await self._store_all(told, stop)
        return True

    async def _adopt(self) -> None:
        """Take over what other bots have found, so that somebody ends it when they are gone."""
        async with self.database.transaction() as session:
            stored = await read_watches(session)
        self.board.adopt(stored, now_ms=current_ms())

    async def _look(self, stop: asyncio.Event) -> None:
        world = self.tables.world()
        if not self.has_begun:
            world = replace(world, queues={}, schedules={}, is_whole=False)
        await self._store_all(self.board.look(world, now_ms=current_ms()), stop)

    async def _store_all(self, changes: list[Change], stop: asyncio.Event) -> None:
        while changes and not stop.is_set():
            changes = await self._store(changes, stop)

    async def _store(self, changes: list[Change], stop: asyncio.Event) -> list[Change]:
        """Store some; return the rest, which is all of them while Postgres is away."""
        some, rest = changes[:AT_ONCE], changes[AT_ONCE:]
        findings = [one.finding for one in some if one.finding is not None]
        try:
            async with self.database.transaction() as session:
                await store_watches(session, some)
                rung = await self.alerts.find(session, findings, now_ms=current_ms())
        except Unavailable as failure:
            log.info("watching_waits", error=str(failure))
            await pause(stop, LOOK_SECONDS)
            return changes
        except Unfit as refusal:
            log.error("finding_not_stored", findings=len(findings), error=str(refusal))
            self.metrics.errors.labels("process", "unfit").inc()
            if len(some) == 1:
                self.board.accept(some)
                return rest
            first = await self._store(some[: len(some) // 2], stop)
            return [*first, *some[len(some) // 2 :], *rest]
        self.board.accept(some)
        if findings:
            self.metrics.rung.inc(rung)
            log.info("rules_judged", findings=len(findings), rung=rung)
            self.woken()
        return rest
