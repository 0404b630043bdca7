"""/start: say hello, in two lines."""

from dataclasses import dataclass

from bot import texts
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
        return Reply(texts.START, ((Button(texts.ALL_QUEUES, data="queues:0"),),))
