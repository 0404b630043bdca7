"""/route QUEUE: which chats hear of a queue, why, which rules watch it, and what keeps it quiet."""

from dataclasses import dataclass

from bot import texts
from bot.commands.narrowed import narrow
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.incidents.failures import Key
from bot.incidents.silences import Silence
from bot.queues.state import QueueState
from bot.render.groups import route_text
from bot.render.rules import rules_of
from tocsin.breakers import Unavailable
from tocsin.roles import Role


@dataclass
class RouteCommand:
    """Also offered as a button where several queues may have been meant."""

    name: str = "route"
    about: str = "who hears of a queue: /route QUEUE"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await narrow(rest, self.name, desk, self._show)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await narrow(rest, self.name, desk, self._show, is_handle=True)

    async def _show(self, one: QueueState | None, _page: int, desk: Desk) -> Reply:
        if one is None:
            return Reply(texts.HOW_ROUTE)
        try:
            silences: list[Silence] | None = await desk.handling.silences()
        except Unavailable:
            silences = None
        found = desk.chats.why(one.env, one.source, one.queue)
        key = Key(one.env, one.source, one.queue, "")
        rules = rules_of(key, desk.board)
        return Reply(route_text(key, found, silences, desk.links.runbook(key), rules))
