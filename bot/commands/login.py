"""/login: a link that logs the person into the page, once, within minutes."""

from dataclasses import dataclass
from datetime import timedelta

from bot import texts
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.render.markup import name as shown
from bot.store import audit, tickets
from bot.store.audit import Actor
from tocsin.breakers import Unavailable
from tocsin.roles import Role

SECONDS = 2.0
LONGEST_LINK = 2000


@dataclass
class Login:
    """In private only: whoever reads a link can use it."""

    name: str = "login"
    about: str = "a link that logs you into the page"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not ask.is_private:
            return Reply(texts.LOGIN_IN_PRIVATE)
        role = ask.role or Role.VIEWER
        actor = Actor(str(ask.user_id), ask.user_name, role)
        lasts = timedelta(minutes=desk.logins.minutes)
        try:
            async with desk.database.transaction(timeout=SECONDS) as session:
                ticket = await tickets.make(session, actor.user_id, ask.user_name, role, lasts)
                await audit.note(session, actor, "login link", "", "made")
        except Unavailable:
            return Reply(texts.LOGIN_AWAY)
        link = shown(desk.logins.link(ticket), LONGEST_LINK)
        return Reply(texts.LOGIN.format(link=link, minutes=desk.logins.minutes, role=role.value))
