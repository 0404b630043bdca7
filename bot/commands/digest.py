"""/digest: what quiet hours hold back now."""

from dataclasses import dataclass

from bot import texts
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from bot.localtime import zone_name
from bot.render.incidents import REMINDER_BUTTONS, incident_lines
from bot.render.markup import bold, fit, name
from bot.render.times import as_old
from bot.routing.quiet import QuietHours
from bot.store.incidents import count_held, held_incidents
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

TOP = 10


@dataclass
class Digest:
    """In the morning it comes by itself."""

    name: str = "digest"
    about: str = "what quiet hours hold back"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await self._tell(desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await self._tell(desk)

    async def _tell(self, desk: Desk) -> Reply:
        try:
            async with desk.database.transaction(timeout=2) as session:
                count, held = await count_held(session), await held_incidents(session, TOP)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY, notice=texts.POSTGRES_AWAY)
        now_ms = current_ms()
        lines = [bold(texts.HELD_NOW.format(count=count) if count else texts.NOTHING_HELD)]
        lines.append(as_old(desk.pulse.read_ago, now_ms))
        lines += [line for one in held for line in incident_lines(*one, now_ms=now_ms)]
        if count > len(held):
            lines.append(texts.AND_MORE.format(count=count - len(held)))
        hours = desk.handling.alerts.policy.quiet_hours
        lines.append(
            texts.QUIET_HOURS.format(zone=zone_name(), hours=", ".join(map(_words, hours)))
            if hours
            else texts.NO_QUIET_HOURS
        )
        refresh = (Button(texts.REFRESH, data=f"{self.name}:"),)
        return Reply(fit(lines), (*(REMINDER_BUTTONS if count else ()), refresh), notice=texts.UPDATED)


def _words(one: QuietHours) -> str:
    scope = f"{one.source}/{one.queue}" if (one.source, one.queue) != ("*", "*") else one.env
    about = "" if scope == "*" else f"{name(scope, 60)} "
    return f"{about}{one.start // 60:02}:{one.start % 60:02}-{one.end // 60:02}:{one.end % 60:02}"
