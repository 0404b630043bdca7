"""/failed [[source/]queue]: the newest jobs that failed for good."""

from dataclasses import dataclass

from bot import texts
from bot.commands.queue import look_up, which_source
from bot.delivery.messages import Ask, Button, Buttons, Reply
from bot.desk import Desk
from bot.incidents.trial import FINGERPRINT
from bot.logsvc import Refused
from bot.queues.numbers import why
from bot.queues.state import QueueState, handle, place, shared_names
from bot.render.actions import offer
from bot.render.jobs import failed_buttons, failed_incidents_text, failed_text
from bot.render.pages import cut, page_buttons, page_of, wanted
from bot.store.incidents import newest_failures
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

PER_PAGE = 10


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
            return await self._list(About(), 0, desk)
        looked = await look_up(rest, desk)
        if len(looked.found) > 1:
            return which_source(looked.found, self.name)
        if looked.found:
            return await self._list(_about(looked.found[0]), 0, desk)
        if looked.is_certain:
            return looked.unknown(self.name)
        source, _, queue = rest.rpartition("/")
        return await self._list(About(source, queue), 0, desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        which, _, page = rest.partition(":")
        if not which:
            return await self._list(About(), page_of(page), desk)
        numbers = desk.ledger.own()
        if all(handle(one) != which for one in numbers.queues):
            numbers = await desk.ledger.queues()
        for one in numbers.queues:
            if handle(one) == which:
                return await self._list(_about(one), page_of(page), desk)
        return Reply("", notice=texts.QUEUE_GONE if numbers.is_whole else texts.NOT_KNOWN_YET)

    async def _list(self, about: About, page: int, desk: Desk) -> Reply:
        shared = shared_names(place(one) for one in desk.ledger.own().queues)
        jobs: Buttons = ()
        try:
            found = await desk.history.failed_jobs(about.source, about.queue, wanted(page, PER_PAGE))
        except (Unavailable, Refused) as failure:
            text, has_more = await self._own(about, page, why(failure), shared, desk)
        else:
            now_ms = current_ms()
            items, has_more = cut(found.items, page, PER_PAGE)
            text = failed_text(items, about=about.title, as_of=found.as_of, now_ms=now_ms, shared=shared)
            jobs = failed_buttons(items)
        turn = page_buttons(f"{self.name}:{about.button}", page, has_more=has_more)
        return Reply(text, (*jobs, *self._buttons(about, turn, can_act=desk.links.can_act)), notice=texts.UPDATED)

    async def _own(
        self, about: About, page: int, note: str, shared: frozenset[tuple[str, str]], desk: Desk
    ) -> tuple[str, bool]:
        """The same by the bot's own count, and whether there is more."""
        most = wanted(page, PER_PAGE)
        try:
            async with desk.database.transaction(timeout=1) as session:
                incidents = await newest_failures(session, about.source, about.queue, most, but=FINGERPRINT)
        except Unavailable:
            return texts.NOTHING_AWAY, False
        shown, has_more = cut(incidents, page, PER_PAGE)
        text = failed_incidents_text(
            shown,
            about=about.title,
            now_ms=current_ms(),
            read_seconds_ago=desk.pulse.read_ago,
            note=note,
            shared=shared,
        )
        return text, has_more

    def _buttons(self, about: About, turn: tuple[Button, ...], *, can_act: bool) -> Buttons:
        everything = Button(texts.ALL_QUEUES, data="queues:0")
        if about.queue and not about.button:
            return ((everything,),)
        retry = offer(texts.RETRY_FAILED, "retry", about.button) if about.button and can_act else ()
        return turn, (*retry, everything)


def _about(one: QueueState) -> About:
    return About(one.source, one.queue, handle(one))
