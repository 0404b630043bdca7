"""/resolve [number], and the button under an incident's details: it is over, whatever the machine thinks."""

from dataclasses import dataclass, replace

from bot import texts
from bot.commands.incidents import after_press
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.incidents.handling import Handled, Outcome
from tocsin.breakers import Unavailable
from tocsin.roles import Role


@dataclass
class Resolve:
    """Without an argument: of the message it answers. For what was mended by hand, and what nothing else will end."""

    name: str = "resolve"
    about: str = "it is over: /resolve NUMBER"
    needs: Role = Role.OPERATOR

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        said = rest.strip().lstrip("#")
        try:
            number = int(said[:18]) if said.isdecimal() else None
            if not said and ask.reply_to is not None:
                number = await desk.handling.about(ask.chat_id, ask.reply_to)
            if number is None:
                return Reply(texts.HOW_RESOLVE)
            return Reply(_said(await desk.handling.resolve(number, ask.who), number))
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        number, episode = (int(part) for part in rest.split(":"))
        done = await desk.handling.resolve(number, ask.who, episode=episode)
        reply = await after_press(ask, number, done.incident, desk, _said(done, number))
        return replace(reply, is_alert=done.outcome is not Outcome.DONE)


def _said(done: Handled, number: int) -> str:
    match done.outcome:
        case Outcome.DONE:
            return texts.RESOLVED_BY_HAND.format(number=number)
        case Outcome.UNKNOWN:
            return texts.NO_SUCH_INCIDENT.format(number=number)
        case _:
            return texts.INCIDENT_OVER
