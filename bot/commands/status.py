"""/status: how Tocsin itself is."""

from dataclasses import dataclass

from bot import texts
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from bot.render.status import status_text
from tocsin.roles import Role


@dataclass
class Status:
    """Asks nobody, so it answers when everything else is down."""

    name: str = "status"
    about: str = "how Tocsin itself is"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return Reply(status_text(desk.pulse), ((Button(texts.REFRESH, data="status:"),),), notice=texts.UPDATED)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await self.answer(ask, rest, desk)
