"""Sources that no bridge reports any more: what belonged to them is ended, and somebody is told.

Nothing else would end it: an incident is quiet only while its source is watched. Only a source that is gone by itself
is taken to have been taken away: while no bridge reports anything all of them may be dead, and every alarm stays.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

from bot import texts
from bot.incidents.alerts import Alerts
from bot.incidents.failures import key_part
from bot.incidents.found import unheard
from bot.incidents.machine import Person, end, note
from bot.queues.snapshots import QUIET_SECONDS
from bot.render.markup import bold, name
from bot.render.times import many
from bot.rules.board import TOCSIN
from bot.rules.watching import Tables
from bot.store import audit
from bot.store.audit import Actor
from bot.store.database import Database, Session
from bot.store.incidents import lock_of_source, sources_of_open, to_incident, write
from bot.store.milestones import LEFT, SEEN, mark, marked
from bot.store.outbox import NOTICE, Subject, put
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.times import current_ms

log = structlog.get_logger("departed")

LOOK_SECONDS = 60.0
GONE_SECONDS = 24 * 3600.0
LISTENED_SECONDS = 900.0
"""So long must we have listened without a pause: after our own absence everybody gets time to speak."""
AT_ONCE = 500
MACHINE = Person(0, "Tocsin", account=TOCSIN)


@dataclass
class Departures:
    """One for the process. It tells the tables which sources no rule needs to look at any more."""

    database: Database
    alerts: Alerts
    tables: Tables
    woken: Callable[[], None]
    gone_seconds: float = GONE_SECONDS
    listened_seconds: float = LISTENED_SECONDS
    clock: Callable[[], float] = time.monotonic
    _listens_since: float | None = field(default=None)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stop."""
        while not await pause(stop, LOOK_SECONDS):
            try:
                await self.look(now_ms=current_ms())
            except Unavailable as failure:
                log.info("departures_wait", error=str(failure))

    async def look(self, *, now_ms: int) -> int:
        """See which sources are there, and end what belonged to one that has left; return how many incidents."""
        if not self.tables.is_listening:
            self._listens_since = None
            return 0
        since = self._listens_since = self.clock() if self._listens_since is None else self._listens_since
        reported = {key_part(one) for one in self.tables.reported(QUIET_SECONDS)}
        async with self.database.transaction() as session:
            seen, left = await marked(session, SEEN), await marked(session, LEFT)
            known = {key_part(one) for one in self.tables.known()} | await sources_of_open(session) - {TOCSIN}
            for one in sorted(reported | (known - seen.keys())):
                await mark(session, f"{SEEN}{one}", now_ms)
        has_listened = self.clock() - since >= self.listened_seconds
        leave = {one for one, at_ms in seen.items() if now_ms - at_ms >= self.gone_seconds * 1000}
        leave = (leave & known) - reported if reported and has_listened else set[str]()
        # What had left before we began stays so, or its rules would ring anew at every start.
        self.tables.gone = frozenset(
            leave | {one for one, at_ms in left.items() if at_ms > seen.get(one, 0)} - reported
        )
        ended = [await self._end(one, now_ms) for one in sorted(leave)]
        if any(ended):
            self.woken()
        return sum(ended)

    async def _end(self, source: str, now_ms: int) -> int:
        async with self.database.transaction() as session:
            await mark(session, f"{LEFT}{source}", now_ms)
            rows = await lock_of_source(session, source, AT_ONCE)
            if not rows:
                return 0
            noted = [note(to_incident(row), MACHINE, texts.SOURCE_LEFT_NOTE, now_ms=now_ms) for row in rows]
            over = [end(one, now_ms=now_ms) for one in noted]
            steps = [(write(session, row, one), unheard(one)) for row, one in zip(rows, over, strict=True)]
            await self.alerts.tell(session, steps, now_ms=now_ms)
            await self._say(session, source, len(rows), {(row.env, row.source, row.queue) for row in rows}, now_ms)
        log.warning("source_left", source=source, ended=len(rows))
        return len(rows)

    async def _say(
        self, session: Session, source: str, count: int, places: Collection[tuple[str, str, str]], now_ms: int
    ) -> None:
        actor = Actor(MACHINE.known_as, MACHINE.name, "")
        await audit.note(session, actor, "resolve", f"source={source}", f"{count} ended: no bridge reports it")
        left = texts.SOURCE_LEFT.format(source=bold(name(source, 60)), incidents=many(count, "incident"))
        heard = {(to.chat_id, to.topic_id): to for place in places for to in self.alerts.chats.destinations(*place)}
        for to in heard.values():
            put(session, Subject(NOTICE), to, left, (), now_ms=now_ms)
