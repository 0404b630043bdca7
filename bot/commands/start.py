"""/start: say hello, in two lines."""

from dataclasses import dataclass

from bot import texts
from bot.desk import Desk
from bot.messages import Ask, Button, Reply


@dataclass
class Start:
    """What a person sees first."""

    name: str = "start"
    about: str = ""

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return Reply(texts.START, ((Button(texts.ALL_QUEUES, data="queues:0"),),))
