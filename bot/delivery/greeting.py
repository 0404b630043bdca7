"""The first message of an installation: what is watched, and what was in trouble already. Wanted once, ever."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

import structlog

from bot.queues.snapshots import Snapshots
from bot.queues.state import QueueState, from_snapshot
from bot.render.greeting import greeting_text
from bot.routing.chats import Chats
from bot.routing.routes import Destination
from bot.store.database import Database
from bot.store.milestones import GREETED, reach, reached_ms
from bot.store.outbox import Subject, put
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.times import current_ms

log = structlog.get_logger("greeting")

QUIET_SECONDS = 3.0
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.25


Found = Mapping[tuple[str, str], Collection[str]]


class Greeting:
    """Waits until the snapshots are complete, then wants one message in each alert chat.

    found: what the rules do not ring for because they found it so from the first; None = they have not looked yet.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        database: Database,
        chats: Chats,
        *,
        found: Callable[[], Found | None],
        woken: Callable[[], None],
    ) -> None:
        self._snapshots = snapshots
        self._database = database
        self._chats = chats
        self._found = found
        self._woken = woken
        self._first_at: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Greet once; after that, or if it was done in an earlier life, only wait for stop."""
        is_done: bool | None = None
        while not stop.is_set() and not is_done:
            try:
                if is_done is None:
                    is_done = await self._was_done()
                elif self.is_complete(time.monotonic()) and (found := self._found()) is not None:
                    is_done = await self._greet(found)
            except Unavailable as failure:
                log.info("greeting_waits", error=str(failure))
            await pause(stop, LOOK_SECONDS)
        await stop.wait()

    def is_complete(self, now: float) -> bool:
        """Whether every source's queues are in, and none was new for a while; or patience has run out."""
        news_at = self._snapshots.news_at
        if not self._snapshots.has_caught_up or news_at is None:
            return False
        self._first_at = now if self._first_at is None else self._first_at
        is_quiet = now - news_at >= QUIET_SECONDS
        return is_quiet and (self._snapshots.missing() == 0 or now - self._first_at >= PATIENCE_SECONDS)

    async def _was_done(self) -> bool:
        async with self._database.transaction() as session:
            return await reached_ms(session, GREETED) is not None

    async def _greet(self, found: Found) -> bool:
        """Want the messages; return whether it is done, which it is not while no queue has anybody to tell."""
        now_ms = current_ms()
        missing = self._snapshots.missing()
        told = self._told()
        if not told:
            return False
        async with self._database.transaction() as session:
            if await reach(session, GREETED, now_ms):
                for to, queues in told.values():
                    text = greeting_text(queues, found, missing=missing)
                    put(session, Subject("greeting"), to, text, (), now_ms=now_ms)
                log.info("greeted", chats=len(told), missing=missing)
        self._woken()
        return True

    def _told(self) -> dict[tuple[int, int | None], tuple[Destination, list[QueueState]]]:
        """Who hears of which queues: every place where an alert of one of them would go."""
        told: dict[tuple[int, int | None], tuple[Destination, list[QueueState]]] = {}
        for snapshot in self._snapshots.all():
            for to in self._chats.destinations(snapshot.env, snapshot.source, snapshot.queue):
                told.setdefault((to.chat_id, to.topic_id), (to, []))[1].append(from_snapshot(snapshot))
        return told
