"""/errors [queue]: failures of the last day by cause, the worst first."""

import time
from dataclasses import dataclass

from bot import texts
from bot.commands.narrowed import narrow
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from bot.history import Refused
from bot.queues.numbers import why
from bot.queues.state import QueueState, handle
from bot.render.groups import errors_text
from tocsin.breakers import Unavailable
from tocsin.roles import Role

AT_MOST = 8


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

    async def _list(self, one: QueueState | None, desk: Desk) -> Reply:
        again = Button(texts.REFRESH, data=f"errors:{handle(one) if one else ''}")
        incidents = Button(texts.ALL_INCIDENTS, data="incidents:0")
        try:
            found = await desk.history.errors(one.source if one else "", one.queue if one else "", AT_MOST)
        except (Unavailable, Refused) as failure:
            return Reply(f"{why(failure)} {texts.OPEN_INSTEAD}", ((again, incidents),), notice=texts.HISTORY_AWAY)
        about = f"{one.source}/{one.queue}" if one else ""
        text = errors_text(found.items, about=about, as_of=found.as_of, now_ms=int(time.time() * 1000))
        return Reply(text, ((again, incidents),), notice=texts.UPDATED)
