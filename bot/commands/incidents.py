"""/incidents: what is open, what nobody has acked first; each with its card and buttons."""

from dataclasses import dataclass, replace

from bot import texts
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from bot.incidents.machine import Incident
from bot.render.alert import alert_buttons, alert_text
from bot.render.incidents import PER_PAGE, incidents_buttons, incidents_text, page_count
from bot.store.incidents import find_incident, open_incidents
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms


@dataclass
class Incidents:
    """Pages, refreshes and shows one in place; below what is no list of ours, anew: `incidents:new`."""

    name: str = "incidents"
    about: str = "what is open, and who has it"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        number = rest.strip().lstrip("#")
        return await self._answer(f"show:{number}" if number.isdecimal() else "0", desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return replace(await self._answer(rest, desk), is_new=rest == "new")

    async def _answer(self, wanted: str, desk: Desk) -> Reply:
        which, _, number = wanted.partition(":")
        try:
            if which == "show" and number.isdecimal():
                return await self._show(int(number[:18]), desk)
            return await self._page(int(which[:6]) if which.isdecimal() else 0, desk)
        except Unavailable:
            return Reply(texts.NOTHING_AWAY, notice=texts.POSTGRES_AWAY)

    async def _page(self, number: int, desk: Desk) -> Reply:
        async with desk.database.transaction(timeout=2) as session:
            found = await open_incidents(session, offset=number * PER_PAGE, limit=PER_PAGE)
            pages = page_count(found.count)
            if number >= pages:
                number = pages - 1
                found = await open_incidents(session, offset=number * PER_PAGE, limit=PER_PAGE)
        text = incidents_text(
            found.page,
            count=found.count,
            unheeded=found.unheeded,
            number=number,
            pages=pages,
            now_ms=current_ms(),
            read_seconds_ago=desk.pulse.read_ago,
        )
        return Reply(text, incidents_buttons(found.page, number=number, pages=pages), notice=texts.UPDATED)

    async def _show(self, number: int, desk: Desk) -> Reply:
        async with desk.database.transaction(timeout=2) as session:
            incident = await find_incident(session, number)
        if incident is None:
            return Reply(texts.NO_SUCH_INCIDENT.format(number=number))
        return shown(number, incident, desk, texts.UPDATED)


def shown(number: int, incident: Incident, desk: Desk, notice: str) -> Reply:
    """One incident as an answer, with its buttons and the way back."""
    about = f"resolve:{number}:{incident.episode}"
    over = () if incident.is_over else ((Button(texts.RESOLVE, data=desk.seal.close(about)),),)
    again = (Button(texts.REFRESH, data=f"incidents:show:{number}"), Button(texts.ALL_INCIDENTS, data="incidents:0"))
    text = alert_text(incident, number=number, runbook=desk.links.runbook_as_text(incident.key))
    return Reply(text, (*alert_buttons(number, incident, desk.links, desk.seal), *over, again), notice=notice)


async def after_press(ask: Ask, number: int, incident: Incident | None, desk: Desk, notice: str) -> Reply:
    """Answer a press on an incident's button: its own messages are edited by the outbox, an answer of ours here."""
    if incident is None or await desk.handling.about(ask.chat_id, ask.message_id or 0) is not None:
        return Reply("", notice=notice)
    return shown(number, incident, desk, notice)
