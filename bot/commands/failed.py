"""/failed [[source/]queue]: the newest jobs that failed for good."""

import time
from dataclasses import dataclass

from bot import texts
from bot.commands.queue import look_up, which_source
from bot.delivery.messages import Ask, Button, Buttons, Reply
from bot.desk import Desk
from bot.history import Refused
from bot.queues.numbers import why
from bot.queues.state import QueueState, handle, place, shared_names
from bot.render.jobs import failed_incidents_text, failed_text
from bot.store.incidents import newest_incidents
from tocsin.breakers import Unavailable
from tocsin.roles import Role

AT_MOST = 10


@dataclass(frozen=True)
class About:
    """What is asked for: all; a queue we know; or, while we do not know them all, a queue as typed, of any source."""

    source: str = ""
    queue: str = ""
    button: str = ""

    @property
    def title(self) -> str:
        return f"{self.source}/{self.queue}" if self.source else self.queue


@dataclass
class Failed:
    """From history; while that is away, from the bot's own incidents."""

    name: str = "failed"
    about: str = "newest failed jobs: /failed [QUEUE]"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest:
            return await self._list(About(), desk)
        looked = await look_up(rest, desk)
        if len(looked.found) > 1:
            return which_source(looked.found, self.name)
        if looked.found:
            return await self._list(_about(looked.found[0]), desk)
        if looked.is_certain:
            return looked.unknown(self.name)
        source, _, queue = rest.rpartition("/")
        return await self._list(About(source, queue), desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest:
            return await self._list(About(), desk)
        numbers = desk.ledger.own()
        if all(handle(one) != rest for one in numbers.queues):
            numbers = await desk.ledger.queues()
        for one in numbers.queues:
            if handle(one) == rest:
                return await self._list(_about(one), desk)
        return Reply("", notice=texts.QUEUE_GONE if numbers.is_whole else texts.NOT_KNOWN_YET)

    async def _list(self, about: About, desk: Desk) -> Reply:
        shared = shared_names(place(one) for one in desk.ledger.own().queues)
        try:
            found = await desk.history.failed_jobs(about.source, about.queue, AT_MOST)
        except (Unavailable, Refused) as failure:
            text = await self._own(about, why(failure), shared, desk)
        else:
            now_ms = int(time.time() * 1000)
            text = failed_text(found.items, about=about.title, as_of=found.as_of, now_ms=now_ms, shared=shared)
        return Reply(text, self._buttons(about), notice=texts.UPDATED)

    async def _own(self, about: About, note: str, shared: frozenset[tuple[str, str]], desk: Desk) -> str:
        try:
            async with desk.database.transaction(timeout=1) as session:
                incidents = await newest_incidents(session, about.source, about.queue, AT_MOST)
        except Unavailable:
            return texts.NOTHING_AWAY
        return failed_incidents_text(
            incidents,
            about=about.title,
            now_ms=int(time.time() * 1000),
            read_seconds_ago=desk.pulse.seconds_since(desk.pulse.progress.read_at),
            note=note,
            shared=shared,
        )

    def _buttons(self, about: About) -> Buttons:
        everything = Button(texts.ALL_QUEUES, data="queues:0")
        if about.queue and not about.button:
            return ((everything,),)
        return ((Button(texts.REFRESH, data=f"failed:{about.button}"), everything),)


def _about(one: QueueState) -> About:
    return About(one.source, one.queue, handle(one))
