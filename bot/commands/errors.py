"""/errors [queue]: failures of the last day by cause, the worst first."""

from dataclasses import dataclass

from bot import texts
from bot.commands.narrowed import narrow
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from bot.logsvc import Refused
from bot.queues.numbers import why
from bot.queues.state import QueueState, handle
from bot.render.groups import errors_text
from bot.render.pages import cut, page_buttons, wanted
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

PER_PAGE = 8


@dataclass
class Errors:
    """Asks history; while that is away, /incidents knows what is open."""

    name: str = "errors"
    about: str = "failures by cause: /errors [QUEUE]"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await narrow(rest, self.name, desk, self._list)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await narrow(rest, self.name, desk, self._list, is_handle=True)

    async def _list(self, one: QueueState | None, page: int, desk: Desk) -> Reply:
        data = f"{self.name}:{handle(one) if one else ''}"
        incidents = Button(texts.ALL_INCIDENTS, data="incidents:0")
        try:
            most = wanted(page, PER_PAGE)
            found = await desk.history.errors(one.source if one else "", one.queue if one else "", most)
        except (Unavailable, Refused) as failure:
            buttons = (page_buttons(data, page, has_more=False), (incidents,))
            return Reply(f"{why(failure)} {texts.OPEN_INSTEAD}", buttons, notice=texts.HISTORY_AWAY)
        items, has_more = cut(found.items, page, PER_PAGE)
        about = f"{one.source}/{one.queue}" if one else ""
        text = errors_text(items, about=about, as_of=found.as_of, now_ms=current_ms())
        return Reply(text, (page_buttons(data, page, has_more=has_more), (incidents,)), notice=texts.UPDATED)
