"""/start: say hello, in two lines; or bring what a link to this chat was for."""

from dataclasses import dataclass

from bot import texts
from bot.commands.login import OPEN, open_page
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from tocsin.roles import Role


@dataclass
class Start:
    """What a person sees first."""

    name: str = "start"
    about: str = ""
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        number = rest.removeprefix(OPEN)
        if ask.is_private and number != rest and number.isdecimal():
            return await open_page(int(number[:18]), ask, desk)
        return Reply(texts.START, ((Button(texts.ALL_QUEUES, data="queues:0"),),))
