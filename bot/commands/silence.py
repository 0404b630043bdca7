"""/silence: keep a queue, an error, a source or an env quiet for a while; list what is quiet; end it."""

from dataclasses import dataclass, replace

from bot import texts
from bot.commands.incidents import after_press
from bot.commands.queue import look_up, which_typed
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.incidents.handling import Outcome, Place
from bot.incidents.silences import Scope, read_wish
from bot.localtime import zone_name
from bot.queues.state import place as queue_place
from bot.render.incidents import scope_words, silences_buttons, silences_text
from bot.render.times import moment
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

BUTTON_HOURS = {"1": 60, "4": 240}
_PARTS = {"env": "env", "source": "source", "queue": "queue", "fp": "fingerprint", "fingerprint": "fingerprint"}


def read_target(text: str) -> tuple[Scope, str]:
    """Read `env=prod source=main fp=1a2b orders`: the named parts, and what is left: a queue's name."""
    named: dict[str, str] = {}
    rest: list[str] = []
    for word in text.split():
        part, equals, value = word.partition("=")
        if equals and value and part.lower() in _PARTS:
            named[_PARTS[part.lower()]] = value
        else:
            rest.append(word)
    return Scope(**named), " ".join(rest)


@dataclass
class SilenceCommand:
    """The card's buttons silence that queue's failures of that fingerprint."""

    name: str = "silence"
    about: str = "keep quiet: /silence QUEUE 1h"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        rest = rest.strip()
        try:
            if not rest:
                return await silence_list(desk)
            if not ask.may_act:
                return Reply(texts.NOT_YOURS)
            first, _, more = rest.partition(" ")
            number = more.strip().lstrip("#")
            if first.lower() == "end" and number.isdecimal():
                return Reply(await end(int(number[:18]), ask, desk))
            return await self._begin(rest, ask, desk)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        number, episode, hours = [*rest.split(":"), ""][:3]
        if number == "end":
            notice = await end(int(episode), ask, desk)
            return replace(await silence_list(desk), notice=notice)
        done = await desk.handling.silence_incident(
            int(number), ask.who, place(ask), minutes=BUTTON_HOURS[hours], episode=int(episode)
        )
        until_ms = done.incident.silenced_until_ms if done.incident else None
        match done.outcome:
            case Outcome.DONE:
                notice = texts.SILENCED.format(until=moment(until_ms or 0))
            case Outcome.ALREADY:
                notice = texts.ALREADY_SILENCED.format(until=moment(until_ms or 0))
            case _:
                notice = texts.INCIDENT_OVER
        reply = await after_press(ask, int(number), done.incident, desk, notice)
        return replace(reply, is_alert=done.outcome is not Outcome.DONE)

    async def _begin(self, rest: str, ask: Ask, desk: Desk) -> Reply:
        try:
            wish = read_wish(rest, now_ms=current_ms())
        except ValueError:
            return Reply(texts.TOO_LONG)
        if wish is None:
            return Reply(texts.HOW_SILENCE.format(zone=zone_name()))
        scope, said = read_target(wish.target)
        if said:
            looked = await look_up(said, desk)
            if len(looked.found) > 1:
                return which_typed(map(queue_place, looked.found), self.name, wish_words(rest, wish.target))
            if not looked.found:
                return looked.unknown("queue")
            one = looked.found[0]
            scope = replace(scope, env=one.env, source=one.source, queue=one.queue)
        if scope.is_everything:
            return Reply(texts.HOW_SILENCE.format(zone=zone_name()))
        silence = await desk.handling.silence(scope, ask.who, place(ask), until_ms=wish.until_ms, reason=wish.reason)
        said_until = texts.SILENCED.format(until=moment(silence.until_ms))
        text = f"{texts.ICON_SILENCED} #{silence.id} {scope_words(silence.scope)}\n{said_until}"
        return Reply(text, silences_buttons([silence], desk.seal))


@dataclass
class SilenceList:
    """Turns the pages of what is quiet, for everybody."""

    name: str = "silences"
    needs: Role = Role.VIEWER

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        try:
            return await silence_list(desk, int(rest) if rest.isdecimal() and len(rest) < 7 else 0)
        except Unavailable:
            return Reply("", notice=texts.POSTGRES_AWAY, is_alert=True)


async def silence_list(desk: Desk, number: int = 0) -> Reply:
    """A page of what is quiet. Raises Unavailable."""
    silences = await desk.handling.silences()
    text, buttons = silences_text(silences, number), silences_buttons(silences, desk.seal, number)
    return Reply(text, buttons, notice=texts.UPDATED)


def wish_words(rest: str, target: str) -> str:
    """What was typed after the target."""
    return " ".join(rest.split()[len(target.split()) :])


def place(ask: Ask) -> Place:
    return Place(ask.chat_id, ask.topic_id)


async def end(number: int, ask: Ask, desk: Desk) -> str:
    """End a silence or a maintenance, and say so."""
    ended = await desk.handling.end_silence(number, ask.who)
    return (texts.NO_SUCH_SILENCE if ended is None else texts.SILENCE_ENDED).format(number=number)
