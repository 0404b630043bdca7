"""/oncall: who is on call; take it, give it, a weekly rota. /handover: what the next one needs to know."""

from dataclasses import dataclass

from bot import texts
from bot.commands.grant import NoSuchPerson, find_person, is_person
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from bot.incidents.silences import read_wish
from bot.logsvc import Refused
from bot.render.alert import OPEN_INCIDENTS
from bot.render.duty import handover_text, on_call_text
from bot.render.markup import name as shown
from bot.routing.duty import Duty, Shift, Turn, next_on_call, on_call, read_rota
from bot.store import audit
from bot.store.audit import Actor
from bot.store.database import Session
from bot.store.duty import begin_shift, duty_now, end_shifts, read_turns, set_rota, shifts_on
from bot.store.handover import handover
from bot.store.incidents import count_held
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import HOUR_MS, current_ms

SECONDS = 2.0
LONGEST_LOOK_MS, SHORTEST_LOOK_MS = 24 * HOUR_MS, 8 * HOUR_MS


class _Wrong(Exception):
    """What to say instead."""


@dataclass
class OnCall:
    """Whoever may act may take it, give it, or set the rota."""

    name: str = "oncall"
    about: str = "who is on call: /oncall take"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if rest.strip() and not ask.may_act:
            return Reply(texts.NOT_YOURS)
        now_ms, put_on_call = current_ms(), dict[int, str]()
        try:
            async with desk.database.transaction(timeout=SECONDS) as session:
                if rest.strip():
                    put_on_call = await _change(session, ask, rest.strip(), now_ms)
                shifts, rota = await shifts_on(session, now_ms), await read_turns(session)
        except _Wrong as wrong:
            return Reply(str(wrong))
        except NoSuchPerson as nobody:
            return Reply(texts.NO_SUCH_PERSON.format(person=shown(str(nobody), 60)))
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)
        duty, following = on_call(shifts, rota, now_ms), next_on_call(shifts, rota, now_ms)
        silent = await desk.reach.out_of_reach(put_on_call)
        return Reply(on_call_text(duty, following, rota, out_of_reach=[put_on_call[one] for one in sorted(silent)]))

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        """The handover's button: whoever presses it is on call. The handover stays, for them to read."""
        now_ms = current_ms()
        async with desk.database.transaction(timeout=SECONDS) as session:
            duty = await duty_now(session, now_ms)
            if duty is None or duty.user_id != ask.user_id:
                await _change(session, ask, "take", now_ms)
        return Reply(texts.HAS_IT.format(name=shown(ask.user_name, 40)), notice=texts.ACKED, is_new=True)


async def _change(session: Session, ask: Ask, said: str, now_ms: int) -> dict[int, str]:
    """Do what was typed; return whom it puts on call, by id. Raises _Wrong or NoSuchPerson where it cannot be done."""
    word, _, rest = said.partition(" ")
    put_on_call: dict[int, str] = {}
    match word.lower():
        case "take":
            shift = Shift(ask.user_id, ask.user_name, now_ms, _until(rest, now_ms), ask.user_name)
            await begin_shift(session, shift)
            put_on_call[ask.user_id] = ask.user_name
        case "give":
            whom, _, when = rest.strip().partition(" ")
            if not is_person(whom):
                raise _Wrong(texts.HOW_ON_CALL)
            person = await find_person(session, whom)
            await begin_shift(session, Shift(person.user_id, person.short, now_ms, _until(when, now_ms), ask.user_name))
            put_on_call[person.user_id] = person.short
        case "until":
            duty = await duty_now(session, now_ms)
            if duty is None or duty.user_id != ask.user_id:
                raise _Wrong(texts.NOT_ON_CALL)
            until_ms = _until(said, now_ms)
            await end_shifts(session, now_ms, user_id=duty.user_id)
            await begin_shift(session, Shift(duty.user_id, duty.name, duty.from_ms, until_ms, ask.user_name))
        case "off":
            await end_shifts(session, now_ms)
        case "rota":
            turns = [] if rest.strip().lower() == "off" else await _turns(session, rest)
            await set_rota(session, turns)
            put_on_call.update({one.user_id: one.name for one in turns})
        case _:
            raise _Wrong(texts.HOW_ON_CALL)
    await audit.note(session, Actor(str(ask.user_id), ask.user_name, ask.role or ""), "oncall", said, "done")
    return put_on_call


async def _turns(session: Session, text: str) -> list[Turn]:
    try:
        read = read_rota(text)
    except ValueError as wrong:
        raise _Wrong(f"{texts.BAD_TURN.format(number=wrong)}\n{texts.HOW_ON_CALL}") from wrong
    people = {whom: await find_person(session, whom) for _, whom in read if is_person(whom)}
    if unknown := next((whom for _, whom in read if whom not in people), None):
        raise _Wrong(texts.NO_SUCH_PERSON.format(person=shown(unknown, 60)))
    return [Turn(minute, people[whom].user_id, people[whom].short) for minute, whom in read]


def _until(text: str, now_ms: int) -> int | None:
    """Read `until 09:00` or `8h`; None where nothing is said."""
    if not text.strip():
        return None
    try:
        wish = read_wish(f"me {text}", now_ms=now_ms)
    except ValueError as wrong:
        raise _Wrong(texts.TOO_LONG) from wrong
    if wish is None:
        raise _Wrong(texts.HOW_ON_CALL)
    return wish.until_ms


@dataclass
class HandoverCommand:
    """Since the one on call began, at least 8 h and at most a day."""

    name: str = "handover"
    about: str = "what the next one on call needs to know"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await self._tell(desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await self._tell(desk)

    async def _tell(self, desk: Desk) -> Reply:
        now_ms = current_ms()
        try:
            async with desk.database.transaction(timeout=SECONDS) as session:
                duty = await duty_now(session, now_ms)
                found = await handover(session, since_ms=_since(duty, now_ms), now_ms=now_ms)
                held = await count_held(session)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY, notice=texts.POSTGRES_AWAY)
        button = Button(texts.I_HAVE_IT, data=desk.seal.close("oncall:take"))
        refresh = Button(texts.REFRESH, data=f"{self.name}:")
        lost = await _lost(desk, found.since_ms, now_ms)
        text = handover_text(found, held, lost, now_ms=now_ms, read_seconds_ago=desk.pulse.read_ago)
        return Reply(text, ((button, OPEN_INCIDENTS), (refresh,)), notice=texts.UPDATED)


async def _lost(desk: Desk, since_ms: int, now_ms: int) -> int | None:
    """From the gaps themselves: an incident that tells of them may have begun before, or be another by now."""
    try:
        return await desk.history.events_lost(since_ms, now_ms)
    except (Unavailable, Refused):
        return None


def _since(duty: Duty | None, now_ms: int) -> int:
    began_ms = duty.from_ms if duty else 0
    return min(max(began_ms, now_ms - LONGEST_LOOK_MS), now_ms - SHORTEST_LOOK_MS)
