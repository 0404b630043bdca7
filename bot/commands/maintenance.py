"""/maintenance ENV 15m REASON: nothing of an env rings while people work on it; the end tells what it hid."""

from dataclasses import dataclass

from bot import texts
from bot.commands.silence import end, place
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.incidents.silences import Scope, read_wish
from bot.localtime import zone_name
from bot.render.incidents import maintenance_on_text, silences_buttons, silences_text
from bot.render.markup import name
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms


@dataclass
class Maintenance:
    """A silence of an env that reports in the chat where it was asked for."""

    name: str = "maintenance"
    about: str = "keep an env quiet: /maintenance ENV 15m WHY"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        try:
            return await self._answer(ask, rest.strip(), desk)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)

    async def _answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest:
            on = [one for one in await desk.handling.silences() if one.is_maintenance]
            return Reply(
                silences_text(on) if on else texts.HOW_MAINTENANCE.format(zone=zone_name()),
                silences_buttons(on, desk.seal),
            )
        if not ask.may_act:
            return Reply(texts.NOT_YOURS)
        first, _, more = rest.partition(" ")
        number = more.strip().lstrip("#")
        if first.lower() == "end" and number.isdecimal():
            return Reply(await end(int(number[:18]), ask, desk))
        try:
            wish = read_wish(rest, now_ms=current_ms())
        except ValueError:
            return Reply(texts.TOO_LONG)
        if wish is None:
            return Reply(texts.HOW_MAINTENANCE.format(zone=zone_name()))
        env = wish.target.removeprefix("env=")
        numbers = await desk.ledger.queues()
        known = sorted({one.env for one in numbers.queues})
        if env not in known and numbers.is_whole:
            envs = ", ".join(name(one, 30) for one in known[:10]) or texts.UNKNOWN
            return Reply(texts.NO_SUCH_ENV.format(env=name(env, 40), envs=envs))
        silence = await desk.handling.silence(
            Scope(env=env), ask.who, place(ask), until_ms=wish.until_ms, reason=wish.reason, is_maintenance=True
        )
        return Reply(maintenance_on_text(silence), silences_buttons([silence], desk.seal))
