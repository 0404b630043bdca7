"""/ack [number or queue], and the Ack button: somebody has it."""

from dataclasses import dataclass, replace

from bot import texts
from bot.commands.incidents import after_press
from bot.commands.queue import look_up, which_typed
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.incidents.handling import Handled, Outcome
from bot.incidents.machine import UNHEEDED
from bot.queues.state import place
from bot.render.incidents import PER_PAGE, incident_lines, incidents_buttons
from bot.render.markup import bold, fit, name
from bot.render.times import as_old
from bot.store.incidents import open_incidents, places_called, unheeded_of_place
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms


@dataclass
class Ack:
    """Without an argument: of the message it answers, or a list of what nobody has."""

    name: str = "ack"
    about: str = "you have it: /ack NUMBER or QUEUE"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        number = rest.strip().lstrip("#")
        try:
            if not number and ask.reply_to is not None:
                about = await desk.handling.about(ask.chat_id, ask.reply_to)
                number = "" if about is None else str(about)
            if not number:
                return await self._list(desk)
            if not ask.may_act:
                return Reply(texts.NOT_YOURS)
            if number.isdecimal():
                done = await desk.handling.ack(int(number[:18]), ask.who)
                return Reply(_said(done, int(number[:18])))
            return await self._queue(ask, rest.strip(), desk)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        which, _, storm = rest.partition(":")
        if which == "storm":
            taken = await desk.handling.ack_storm(int(storm), ask.who)
            notice = texts.ACKED_ALL.format(count=taken) if taken else texts.NOTHING_TO_ACK
            return Reply("", notice=notice, is_alert=not taken)
        number, episode = (int(part) for part in rest.split(":"))
        done = await desk.handling.ack(number, ask.who, episode=episode)
        reply = await after_press(ask, number, done.incident, desk, _said(done, number))
        return replace(reply, is_alert=done.outcome is not Outcome.DONE)

    async def _list(self, desk: Desk) -> Reply:
        async with desk.database.transaction(timeout=2) as session:
            found = await open_incidents(session, offset=0, limit=PER_PAGE)
        unheeded = [one for one in found.page if one[1].phase in UNHEEDED]
        if not unheeded:
            return Reply(texts.NOTHING_TO_ACK)
        now_ms = current_ms()
        lines = [line for one in unheeded for line in incident_lines(*one, now_ms=now_ms)]
        title = bold(texts.INCIDENTS_HEADLINE.format(count=found.count, unheeded=found.unheeded))
        as_of = as_old(desk.pulse.read_ago, now_ms)
        return Reply(fit([title, as_of, *lines, texts.HOW_ACK]), incidents_buttons(unheeded, number=0, pages=1))

    async def _queue(self, ask: Ask, said: str, desk: Desk) -> Reply:
        """Take everything of one queue that nobody has; also of one that is no longer there."""
        looked = await look_up(said, desk)
        places = {place(one) for one in looked.found}
        async with desk.database.transaction(timeout=2) as session:
            places = places or await places_called(session, said)
            if len(places) > 1:
                return which_typed(places, self.name)
            if not places:
                return looked.unknown("queue")
            unheeded = await unheeded_of_place(session, places.pop())
        taken = await desk.handling.ack_all(unheeded, ask.who)
        return Reply(texts.ACKED_ALL.format(count=taken) if taken else texts.NOTHING_TO_ACK)


def _said(done: Handled, number: int) -> str:
    match done.outcome:
        case Outcome.DONE:
            return texts.ACKED
        case Outcome.ALREADY if done.incident and done.incident.ack:
            return texts.ALREADY_ACKED.format(name=name(done.incident.ack.name, 40))
        case Outcome.UNKNOWN:
            return texts.NO_SUCH_INCIDENT.format(number=number)
        case _:
            return texts.INCIDENT_OVER
