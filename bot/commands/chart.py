"""/chart [source/]queue: a picture of its throughput, failures and backlog."""

from dataclasses import dataclass, replace

from bot import texts
from bot.commands.queue import look_up, which_source
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from bot.drawing import NotDrawn
from bot.logsvc import Refused
from bot.queues.numbers import why
from bot.queues.state import QueueState, handle, place
from bot.render.chart import HOURS, caption, chart_buttons, chart_of
from bot.render.queues import queue_text
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import HOUR_MS, current_ms


@dataclass
class ChartCommand:
    """A button's data: the queue's handle, which asks for a new message, or with `:HOURS`, for another picture in this
    one.
    """

    name: str = "chart"
    about: str = "a picture of a queue's last hour or day: /chart NAME"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest:
            return Reply(texts.HOW_CHART)
        looked = await look_up(rest, desk)
        if len(looked.found) > 1:
            return which_source(looked.found, self.name)
        return await self._show(looked.found[0], HOURS[0], desk) if looked.found else looked.unknown(self.name)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        which, _, hours = rest.partition(":")
        numbers = desk.ledger.own()
        if all(handle(one) != which for one in numbers.queues):
            numbers = await desk.ledger.queues()
        found = [one for one in numbers.queues if handle(one) == which]
        if not found:
            return Reply("", notice=texts.QUEUE_GONE if numbers.is_whole else texts.NOT_KNOWN_YET)
        wanted = int(hours) if hours.isdecimal() and int(hours) in HOURS else HOURS[0]
        reply = await self._show(found[0], wanted, desk)
        if reply.picture:
            return replace(reply, is_new=not hours, notice=texts.UPDATED)
        # The picture that is there stays: it says how old it is.
        return Reply("", notice=reply.notice, is_alert=True)

    async def _show(self, one: QueueState, hours: int, desk: Desk) -> Reply:
        now_ms = current_ms()
        try:
            course = await desk.history.course(one, now_ms - hours * HOUR_MS, now_ms)
        except (Unavailable, Refused) as failure:
            return self._without(one, f"{why(failure)} {texts.NO_CHART_NOW}", desk)
        if course.is_unknown:
            return self._without(one, texts.NO_HISTORY_YET, desk)
        text = caption(course, place(one), hours=hours, now_ms=now_ms)
        try:
            picture = await desk.drawing.draw(chart_of(course))
        except NotDrawn:
            again = ((Button(texts.REFRESH, data=f"{self.name}:{handle(one)}"),),)
            return Reply(f"{text}\n{texts.NOT_DRAWN}", again, notice=texts.NOT_DRAWN)
        return Reply(text, chart_buttons(one, hours), picture=picture)

    def _without(self, one: QueueState, why_not: str, desk: Desk) -> Reply:
        """What the bot itself knows, and a way to ask again."""
        own = [known for known in desk.ledger.own().queues if handle(known) == handle(one)] or [one]
        text = queue_text(own, now_ms=current_ms(), note=f"{why_not} {texts.OWN_NUMBERS}")
        return Reply(text, ((Button(texts.REFRESH, data=f"{self.name}:{handle(one)}"),),), notice=why_not)
