"""/promote: let delayed jobs run now."""

from dataclasses import dataclass

from bot import texts
from bot.commands.go import propose
from bot.commands.retry import jobs_wish
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from tocsin.roles import Role


@dataclass
class Promote:
    """The jobs are named one by one."""

    name: str = "promote"
    about: str = "run delayed jobs now: /promote QUEUE IDS"
    needs: Role = Role.OPERATOR

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest:
            return Reply(texts.HOW_PROMOTE)
        wish = await jobs_wish(self.name, rest, desk)
        return wish if isinstance(wish, Reply) else await propose(wish, ask, desk)
