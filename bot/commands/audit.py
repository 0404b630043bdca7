"""/audit: who did what."""

from dataclasses import dataclass

from bot import texts
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from bot.render.markup import bold, fit
from bot.render.markup import name as shown
from bot.render.times import moment
from bot.store.audit import newest
from bot.store.models import AuditRow
from tocsin.breakers import Unavailable
from tocsin.roles import Role

PER_PAGE = 10


@dataclass
class Audit:
    """Pages back in time. A button's data: the id of the row before which it goes on."""

    name: str = "audit"
    about: str = "who did what"
    needs: Role = Role.OPERATOR

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await self._page(None, desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await self._page(int(rest) if rest.isdecimal() and len(rest) < 19 else None, desk)

    async def _page(self, before: int | None, desk: Desk) -> Reply:
        try:
            async with desk.database.transaction(timeout=2) as session:
                rows = await newest(session, limit=PER_PAGE, before=before)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY, notice=texts.POSTGRES_AWAY)
        if not rows:
            return Reply(texts.NO_AUDIT, notice=texts.NO_AUDIT)
        lines = [bold(texts.AUDIT_HEADLINE), *(line for row in rows for line in _lines(row))]
        first = Button(texts.REFRESH, data="audit:")
        older = [Button(texts.NEXT_PAGE, data=f"audit:{rows[-1].id}")] if len(rows) == PER_PAGE else []
        return Reply(fit(lines), ((first, *older),), notice=texts.UPDATED)


def _lines(row: AuditRow) -> list[str]:
    who = bold(shown(row.name or row.user_id, 40))
    return [
        f"{moment(int(row.at.timestamp() * 1000))} {who} {shown(row.action, 40)} {shown(row.target, 80)}",
        f"   {shown(row.outcome, 120)}",
    ]
