"""/failed [queue]: the newest jobs that failed for good."""

import time
from dataclasses import dataclass

from bot import texts
from bot.commands.queue import unknown_queue
from bot.desk import Desk
from bot.history import Refused
from bot.messages import Ask, Button, Buttons, Reply
from bot.queues import QueueState, find, handle
from bot.render.jobs import failed_incidents_text, failed_text
from bot.store.incidents import newest_incidents
from tocsin.breakers import Unavailable

AT_MOST = 10


@dataclass
class Failed:
    """From history; while that is away, from the bot's own incidents."""

    name: str = "failed"
    about: str = "newest failed jobs: /failed [QUEUE]"

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest:
            return await self._list(None, desk)
        numbers = desk.ledger.own()
        found = find(numbers.queues, rest)
        return await self._list(found[0], desk) if found else unknown_queue(rest, numbers.queues, self.name)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest:
            return await self._list(None, desk)
        found = [one for one in desk.ledger.own().queues if handle(one) == rest]
        return await self._list(found[0], desk) if found else Reply("", notice=texts.QUEUE_GONE)

    async def _list(self, queue: QueueState | None, desk: Desk) -> Reply:
        source, about = (queue.source, queue.queue) if queue else ("", "")
        try:
            found = await desk.history.failed_jobs(source, about, AT_MOST)
            text = failed_text(found.items, about=about, as_of=found.as_of, now_ms=int(time.time() * 1000))
        except (Unavailable, Refused):
            text = await self._own(about, desk)
        return Reply(text, self._buttons(queue), notice=texts.UPDATED)

    async def _own(self, about: str, desk: Desk) -> str:
        try:
            async with desk.database.transaction(timeout=1) as session:
                incidents = await newest_incidents(session, about, AT_MOST)
        except Unavailable:
            return texts.NOTHING_AWAY
        read_seconds_ago = desk.pulse.seconds_since(desk.pulse.progress.read_at)
        now_ms = int(time.time() * 1000)
        return failed_incidents_text(incidents, about=about, now_ms=now_ms, read_seconds_ago=read_seconds_ago)

    def _buttons(self, queue: QueueState | None) -> Buttons:
        refresh = Button(texts.REFRESH, data=f"failed:{handle(queue) if queue else ''}")
        return ((refresh, Button(texts.ALL_QUEUES, data="queues:0")),)
