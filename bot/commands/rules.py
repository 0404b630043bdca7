"""/rules: what rings, and why each rule is on."""

from dataclasses import dataclass

from bot import texts
from bot.desk import Desk
from bot.messages import Ask, Button, Reply
from bot.render.rules import rules_pages, rules_text
from tocsin.roles import Role


@dataclass
class Rules:
    """Pages; what a rule finds now stands at its line."""

    name: str = "rules"
    about: str = "what rings, and why"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return self._page(0, desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return self._page(int(rest) if rest.isdecimal() and len(rest) < 4 else 0, desk)

    def _page(self, page: int, desk: Desk) -> Reply:
        pages = rules_pages()
        page = min(page, pages - 1)
        back = Button(texts.BACK_PAGE, data=f"rules:{(page - 1) % pages}")
        on = Button(texts.NEXT_PAGE, data=f"rules:{(page + 1) % pages}")
        refresh = Button(texts.REFRESH, data=f"rules:{page}")
        return Reply(rules_text(desk.board, page), ((back, refresh, on),), notice=texts.UPDATED)
