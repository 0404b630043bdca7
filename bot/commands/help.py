"""/help: the commands, one line each."""

from dataclasses import dataclass

from bot import texts
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.render.markup import bold, fit
from tocsin.roles import Role


@dataclass
class Help:
    """Reads the list from the desk: it cannot know the commands beside it."""

    name: str = "help"
    about: str = "what I answer"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return Reply(fit([bold(texts.HELP_HEADLINE), *(f"/{name}: {about}" for name, about in desk.listed)]))
