"""/login and *Open page*: a link that logs a person into the page, once, within minutes."""

from dataclasses import dataclass, replace
from datetime import timedelta

from bot import texts
from bot.delivery.messages import Ask, Button, Buttons, Reply
from bot.desk import Desk
from bot.incidents.machine import Incident
from bot.render.alert import is_linkable
from bot.render.incidents import incident_lines
from bot.render.markup import name as shown
from bot.store import audit, tickets
from bot.store.audit import Actor
from bot.store.database import Session
from bot.store.incidents import find_incident
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

SECONDS = 2.0
LONGEST_LINK = 2000
OPEN = "open-"
"""Before an incident's number in what a link to our private chat lets a person say: /start open-17."""


@dataclass
class Login:
    """In private only: whoever reads a link can use it. With the number of an incident it leads there."""

    name: str = "login"
    about: str = "a link that logs you into the page"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not ask.is_private:
            return Reply(texts.LOGIN_IN_PRIVATE)
        number = rest.strip().lstrip("#")
        if number.isdecimal():
            return await open_page(int(number[:18]), ask, desk)
        try:
            async with desk.database.transaction(timeout=SECONDS) as session:
                ticket, role = await _make(session, ask, desk, "")
        except Unavailable:
            return Reply(texts.LOGIN_AWAY)
        link = shown(desk.logins.link(ticket), LONGEST_LINK)
        return Reply(texts.LOGIN.format(link=link, minutes=desk.logins.minutes, role=role.value))

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest.isdecimal():
            return Reply("", notice=texts.OLD_BUTTON)
        number = int(rest[:18])
        reply = await open_page(number, ask, desk)
        if reply.is_alert:
            return replace(reply, text="")
        return replace(reply, notice=texts.LINK_SENT, is_new=True, start=f"{OPEN}{number}")


async def open_page(number: int, ask: Ask, desk: Desk) -> Reply:
    """A login link of the person who asks that leads to an incident. It may be shown to nobody else."""
    page, ticket, role = f"incidents/{number}", "", Role.VIEWER
    incident: Incident | None = None
    try:
        async with desk.database.transaction(timeout=SECONDS) as session:
            incident = await find_incident(session, number)
            if incident is None:
                unknown = texts.NO_SUCH_INCIDENT.format(number=number)
                return Reply(unknown, notice=unknown, is_alert=True)
            ticket, role = await _make(session, ask, desk, f"#{number}")
    except Unavailable:
        ticket = ""
    about = "\n".join(incident_lines(number, incident, now_ms=current_ms())) if incident else f"#{number}"
    url = desk.logins.link(ticket, page) if ticket else desk.logins.page(page)
    link, buttons = _link(url)
    if not ticket:
        return Reply(texts.OPEN_AWAY.format(about=about, link=link, number=number), buttons)
    minutes = desk.logins.minutes
    text = texts.LOGIN_TO.format(about=about, link=link, role=role.value, number=number, minutes=minutes)
    return Reply(text, buttons)


def _link(url: str) -> tuple[str, Buttons]:
    """An address as a button, or as text where Telegram takes no such button."""
    if is_linkable(url):
        return "", ((Button(texts.OPEN_PAGE, url=url),),)
    return f"{shown(url, LONGEST_LINK)}\n", ()


async def _make(session: Session, ask: Ask, desk: Desk, about: str) -> tuple[str, Role]:
    """Make a ticket; return it with the role of now. It holds a viewer's: who uses it has the one they hold then."""
    role = await desk.people.role_in(session, ask.user_id) or Role.VIEWER
    actor = Actor(str(ask.user_id), ask.user_name, role)
    lasts = timedelta(minutes=desk.logins.minutes)
    ticket = await tickets.make(session, actor.user_id, ask.user_name, Role.VIEWER, lasts)
    await audit.note(session, actor, "login link", about, "made")
    return ticket, role
