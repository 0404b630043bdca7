"""/queues: every queue, worst first, one phone screen a page."""

from dataclasses import dataclass

from bot import texts
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.render.queues import queues_buttons, queues_text
from tocsin.roles import Role
from tocsin.times import current_ms


@dataclass
class Queues:
    """Pages and refreshes in place."""

    name: str = "queues"
    about: str = "all queues, worst first"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await self._page(0, desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await self._page(int(rest) if rest.isdecimal() and len(rest) < 6 else 0, desk)

    async def _page(self, page: int, desk: Desk) -> Reply:
        numbers = await desk.ledger.queues()
        text = queues_text(numbers.queues, page=page, now_ms=current_ms(), note=numbers.note)
        return Reply(text, queues_buttons(numbers.queues, page), notice=texts.UPDATED)
