"""/pause and /resume: a whole queue."""

from dataclasses import dataclass

from bot.commands.go import propose_on_queue
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from tocsin.roles import Role


@dataclass
class Pause:
    """Workers end what they are at."""

    name: str = "pause"
    about: str = "stop a queue: /pause QUEUE"
    needs: Role = Role.OPERATOR

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await propose_on_queue(self.name, rest, ask, desk)


@dataclass
class Resume:
    """The end of a pause."""

    name: str = "resume"
    about: str = "let a paused queue go on: /resume QUEUE"
    needs: Role = Role.OPERATOR

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await propose_on_queue(self.name, rest, ask, desk)
