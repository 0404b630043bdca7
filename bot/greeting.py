"""The first message of an installation: what is watched, and what was in trouble already. Sent once, ever."""

import asyncio
import time
from collections.abc import Callable

import structlog

from bot.chats import Chats
from bot.queues import QueueState, from_snapshot, in_trouble
from bot.render.greeting import greeting_text
from bot.routes import Destination
from bot.snapshots import Snapshots
from bot.store.database import Database
from bot.store.milestones import GREETED, reach, reached_ms
from bot.store.outbox import Subject, put
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause

log = structlog.get_logger("greeting")

QUIET_SECONDS = 3.0
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.25


class Greeting:
    """Waits until the snapshots are complete, then wants one message in each alert chat."""

    def __init__(self, snapshots: Snapshots, database: Database, chats: Chats, *, woken: Callable[[], None]) -> None:
        self._snapshots = snapshots
        self._database = database
        self._chats = chats
        self._woken = woken
        self._first_at: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Greet once; after that, or if it was done in an earlier life, only wait for stop."""
        while not stop.is_set():
            try:
                if await self._is_done():
                    break
                if self._chats.all_destinations() and self.is_complete(time.monotonic()):
                    await self._greet()
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

    async def _is_done(self) -> bool:
        async with self._database.transaction() as session:
            return await reached_ms(session, GREETED) is not None

    async def _greet(self) -> None:
        now_ms = int(time.time() * 1000)
        states = [from_snapshot(one) for one in self._snapshots.all()]
        missing = self._snapshots.missing()
        async with self._database.transaction() as session:
            if not await reach(session, GREETED, now_ms):
                return
            for to in self._chats.all_destinations():
                heard = [one for one in states if self._hears(to, one)]
                if heard:
                    text = greeting_text(heard, [one for one in heard if in_trouble(one)], missing=missing)
                    put(session, Subject("greeting"), to, text, (), now_ms=now_ms)
        log.info("greeted", queues=len(states), missing=missing)
        self._woken()

    def _hears(self, to: Destination, queue: QueueState) -> bool:
        chosen = self._chats.destinations(queue.env, queue.source, queue.queue)
        return (to.chat_id, to.topic_id) in {(one.chat_id, one.topic_id) for one in chosen}
