"""/grant and /revoke: who may do what."""

from dataclasses import dataclass
from datetime import timedelta

from bot import texts
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.render.markup import bold, fit
from bot.render.markup import name as shown
from bot.render.pages import cut, page_buttons, page_of, wanted
from bot.routing.routes import Destination
from bot.store import audit, people, tickets
from bot.store.audit import Actor
from bot.store.chats import close_chat
from bot.store.database import Session
from bot.store.duty import relieve
from bot.store.incidents import unpage
from bot.store.subscriptions import subscriptions, unsubscribe
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

SECONDS = 2.0
PER_PAGE = 15
ROLE_WORDS = frozenset(role.value for role in Role)
LONGEST_ID = 15
"""Digits. Telegram's ids have 52 bits at most."""


class NoSuchPerson(Exception):
    """Nobody with this username has spoken to the bot."""


@dataclass(frozen=True)
class FoundPerson:
    user_id: int
    known_as: str
    short: str


@dataclass
class Grant:
    """Without anything: who holds a role."""

    name: str = "grant"
    about: str = ""
    needs: Role = Role.ADMIN

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        words = rest.split()
        try:
            if not words:
                return await self._list(0, desk)
            if len(words) != 2 or words[1].lower() not in ROLE_WORDS or not is_person(words[0]):
                return Reply(texts.HOW_GRANT)
            role = Role(words[1].lower())
            async with desk.database.transaction(timeout=SECONDS) as session:
                person = await find_person(session, words[0])
                if person.user_id in desk.people.admins:
                    return Reply(texts.ADMIN_BY_SETTING)
                await people.grant(session, person.user_id, role, str(ask.user_id))
                await _changed(session, ask, person, f"grant {role.value}", desk)
        except NoSuchPerson:
            return Reply(texts.NO_SUCH_PERSON.format(person=shown(words[0])))
        except Unavailable:
            return Reply(texts.ROLES_AWAY)
        desk.people.granted[person.user_id] = role
        return Reply(texts.GRANTED.format(person=shown(person.known_as), role=role.value))

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        try:
            return await self._list(page_of(rest), desk)
        except Unavailable:
            return Reply("", notice=texts.ROLES_AWAY, is_alert=True)

    async def _list(self, page: int, desk: Desk) -> Reply:
        """Who holds a role. Raises Unavailable."""
        async with desk.database.transaction(timeout=SECONDS) as session:
            found = await people.named(session, wanted(page, PER_PAGE))
        lines = [f"admin: {admin} (TELEGRAM_ADMINS)" for admin in sorted(desk.people.admins)]
        lines += [f"{role}: {shown(_known_as(user_id, username, name))}" for user_id, role, username, name in found]
        some, has_more = cut(lines, page, PER_PAGE)
        buttons = (page_buttons(self.name, page, has_more=has_more),)
        return Reply(fit([bold(texts.ROLES), *some, texts.HOW_GRANT]), buttons, notice=texts.UPDATED)


@dataclass
class Revoke:
    """Also logs the person out everywhere, and ends what they hear in private and when they are on call."""

    name: str = "revoke"
    about: str = ""
    needs: Role = Role.ADMIN

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not is_person(rest):
            return Reply(texts.HOW_REVOKE)
        now_ms = current_ms()
        try:
            async with desk.database.transaction(timeout=SECONDS) as session:
                person = await find_person(session, rest)
                if person.user_id in desk.people.admins:
                    return Reply(texts.ADMIN_BY_SETTING)
                had_one = await people.revoke(session, person.user_id)
                heard = await unsubscribe(session, Destination(person.user_id), None)
                was_on_call = await relieve(session, person.user_id, now_ms)
                await _changed(session, ask, person, "revoke", desk)
                if hears_no_more := not desk.chats.is_set(person.user_id):
                    heard += await unpage(session, person.user_id)
                    await close_chat(session, person.user_id, now_ms=now_ms)
                subscribed = await subscriptions(session)
        except NoSuchPerson:
            return Reply(texts.NO_SUCH_PERSON.format(person=shown(rest)))
        except Unavailable:
            return Reply(texts.ROLES_AWAY)
        desk.people.granted.pop(person.user_id, None)
        desk.chats.subscribed(subscribed)
        lines = [(texts.REVOKED if had_one else texts.HAD_NONE).format(person=shown(person.known_as))]
        lines += [texts.UNSUBSCRIBED_TOO] if heard and hears_no_more else []
        lines += [texts.RELIEVED_TOO] if was_on_call else []
        return Reply("\n".join(lines))


def is_person(text: str) -> bool:
    """Whether it looks like a @username or an id."""
    if text.startswith("@"):
        return 2 <= len(text) <= 65 and " " not in text
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID


async def find_person(session: Session, text: str) -> FoundPerson:
    """Who is meant. Raises NoSuchPerson."""
    if not text.startswith("@"):
        return FoundPerson(int(text), text, text)
    found = await people.find(session, text[1:])
    if not found:
        raise NoSuchPerson(text)
    one = found[0]
    return FoundPerson(one.user_id, _known_as(one.user_id, one.username, one.name), one.name or text)


def _known_as(user_id: int, username: str, name: str) -> str:
    return " ".join(filter(None, (name, f"@{username}" if username else "", f"(id {user_id})")))


async def _changed(session: Session, ask: Ask, person: FoundPerson, action: str, desk: Desk) -> None:
    """Audit it, and end what the person's former role began."""
    await tickets.end_all(session, str(person.user_id), timedelta(hours=desk.logins.login_hours))
    actor = Actor(str(ask.user_id), ask.user_name, ask.role or "")
    await audit.note(session, actor, action, str(person.user_id), "done")
