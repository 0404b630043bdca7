"""/here: let this chat or topic hear of an env, a source or queues. /subscribe: what it hears of and may show."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot import texts
from bot.commands.silence import read_target
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.render.groups import subscriptions_text
from bot.routing.routes import EVERYTHING, Destination, Route, Subscription
from bot.store import audit
from bot.store.audit import Actor
from bot.store.database import Session
from bot.store.subscriptions import TooMany, show_data, subscribe, subscriptions, unsubscribe
from tocsin.breakers import Unavailable
from tocsin.roles import Role

SECONDS = 2.0
SILENT = "silent"
LONGEST = 300


def read_subscription(text: str, chat_id: int, topic_id: int | None) -> Route | None:
    """Read `env=prod silent`, `orders*`, `everything`; None where nothing is named."""
    words = text.split()
    is_silent = SILENT in words
    target = " ".join(word for word in words if word != SILENT)
    scope, queue = read_target(target)
    if scope.fingerprint or (queue and scope.queue):
        return None
    if queue == EVERYTHING:
        queue = ""
    elif not queue and scope.is_everything:
        return None
    parts = [part[:LONGEST] or "*" for part in (scope.env, scope.source, scope.queue or queue)]
    return Route(Destination(chat_id, topic_id, is_silent), *parts)


@dataclass
class Here:
    """Also where no alert goes yet: there an admin's /here is heard, and nothing else."""

    name: str = "here"
    about: str = "alerts come here: /here env=prod"
    needs: Role = Role.ADMIN

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        first, _, more = rest.strip().partition(" ")
        number = more.strip().lstrip("#")
        try:
            if first.lower() == "off" and (not number or number.isdecimal()):
                return await self._end(ask, int(number[:18]) if number else None, desk)
            route = read_subscription(rest, ask.chat_id, ask.topic_id)
            if route is None:
                return _listed(desk.chats.of(ask.chat_id, ask.topic_id), texts.HOW_HERE)
            async with desk.database.transaction(timeout=SECONDS) as session:
                await subscribe(session, route, ask.user_id, ask.user_name)
                now = await _changed(session, ask, "subscribe", rest)
        except TooMany:
            return Reply(texts.TOO_MANY_SUBSCRIPTIONS)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)
        desk.chats.subscribed(now)
        return _listed(desk.chats.of(ask.chat_id, ask.topic_id), texts.HOW_HERE)

    async def _end(self, ask: Ask, number: int | None, desk: Desk) -> Reply:
        async with desk.database.transaction(timeout=SECONDS) as session:
            gone = await unsubscribe(session, Destination(ask.chat_id, ask.topic_id), number)
            what = "all" if number is None else f"#{number}"
            now = await _changed(session, ask, "unsubscribe", what) if gone else await subscriptions(session)
        desk.chats.subscribed(now)
        left = desk.chats.of(ask.chat_id, ask.topic_id)
        return _listed(left, texts.UNSUBSCRIBED if gone else texts.NO_SUCH_SUBSCRIPTION)


@dataclass
class Subscribe:
    """Without anything: what this place hears of, and its settings."""

    name: str = "subscribe"
    about: str = "what this chat hears of, and may show"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        words = rest.lower().split()
        mine = desk.chats.of(ask.chat_id, ask.topic_id)
        if words not in (["data", "on"], ["data", "off"]):
            return _listed(mine, texts.HOW_SUBSCRIBE)
        if ask.role is None or not ask.role.covers(Role.ADMIN):
            return Reply(texts.NOT_YOUR_ROLE.format(needed=Role.ADMIN.value, role=(ask.role or Role.VIEWER).value))
        shows = words[1] == "on"
        try:
            async with desk.database.transaction(timeout=SECONDS) as session:
                count = await show_data(session, Destination(ask.chat_id, ask.topic_id), shows=shows)
                if not count:
                    return Reply(texts.NO_SUBSCRIPTION_HERE)
                now = await _changed(session, ask, "subscribe", f"data {words[1]}")
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)
        desk.chats.subscribed(now)
        return _listed(desk.chats.of(ask.chat_id, ask.topic_id), texts.DATA_ON if shows else texts.DATA_OFF)


async def _changed(session: Session, ask: Ask, action: str, what: str) -> Sequence[Subscription]:
    """Write it down; return what this bot is to go by once that is committed. Other bots read it within seconds."""
    where = f"chat {ask.chat_id}{f' topic {ask.topic_id}' if ask.topic_id else ''}: {what}"
    await audit.note(session, Actor(str(ask.user_id), ask.user_name, ask.role or ""), action, where, "done")
    return await subscriptions(session)


def _listed(found: Sequence[Subscription], end: str) -> Reply:
    return Reply(subscriptions_text(found, end))
