"""The alert chats as they are now: the settings' routes and what chats have asked for, with groups that moved."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import structlog

from bot.incidents.failures import Key
from bot.routing.routes import Destination, Route, Subscription, destinations
from bot.settings import BotSettings
from bot.store.chats import chat_moves
from bot.store.database import Database, Session
from bot.store.subscriptions import subscriptions
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause

log = structlog.get_logger("chats")

REFRESH_SECONDS = 5.0


class Chats:
    """Routes, subscriptions and moves; the latter two are kept in Postgres, and put here at start."""

    def __init__(self, settings: BotSettings) -> None:
        self._settings = settings
        self._moves: dict[int, int] = {}
        self._subscribed: tuple[Subscription, ...] = ()

    def learn(self, moves: Mapping[int, int]) -> None:
        """Take note of groups that have a new id."""
        self._moves.update(moves)

    def subscribed(self, found: Sequence[Subscription]) -> None:
        """Take note of what chats have asked for."""
        self._subscribed = tuple(found)

    async def read(self, session: Session) -> None:
        """Take note of what Postgres knows: groups that moved, and what chats have asked for."""
        self.learn(await chat_moves(session))
        self.subscribed(await subscriptions(session))

    async def keep(self, database: Database, stop: asyncio.Event) -> None:
        """Read anew every few seconds, until stop: another bot may have been asked, or have met a group's new id."""
        while not await pause(stop, REFRESH_SECONDS):
            try:
                async with database.transaction() as session:
                    await self.read(session)
            except Unavailable as failure:
                log.info("subscriptions_may_be_old", error=str(failure))

    def destinations(self, env: str, source: str, queue: str) -> list[Destination]:
        """Where a queue's alerts go now: whatever matches it, else the admins in private."""
        found = destinations(self._routes(), env, source, queue)
        return found or [Destination(one) for one in self._settings.telegram_admins]

    def hear_of(self, key: Key, paged: Iterable[tuple[int, int | None]]) -> list[Destination]:
        """Who hears of an incident, each once: the chats of its queue, and whom it was brought to by name."""
        both = [*self.destinations(*key[:3]), *(self.moved(Destination(*one)) for one in paged)]
        return list({(to.chat_id, to.topic_id): to for to in reversed(both)}.values())[::-1]

    def all_destinations(self, env: str | None = None) -> list[Destination]:
        """Every destination there is, each once; the admins in private if there is none. env: what may hear of it."""
        everyone = [route.to for route in self._routes() if env is None or fnmatchcase(env, route.env)]
        everyone = everyone or [Destination(admin) for admin in self._settings.telegram_admins]
        return list({(to.chat_id, to.topic_id): to for to in everyone}.values())

    def why(self, env: str, source: str, queue: str) -> list[tuple[Destination, str]]:
        """Where a queue's alerts go now, each with what sends them there."""
        found: dict[tuple[int, int | None], tuple[Destination, str]] = {}
        for number, route in enumerate(self._routes(), start=1):
            if route.matches(env, source, queue):
                found.setdefault((route.to.chat_id, route.to.topic_id), (route.to, _reason(number, route)))
        admins = [(Destination(one), "nothing matches, so TELEGRAM_ADMINS") for one in self._settings.telegram_admins]
        return list(found.values()) or admins

    def of(self, chat_id: int, topic_id: int | None) -> list[Subscription]:
        """What a place has asked for."""
        mine = (replace(one, to=self.moved(one.to)) for one in self._subscribed)
        return [one for one in mine if (one.to.chat_id, one.to.topic_id) == (chat_id, topic_id)]

    def shows_data(self, chat_id: int, topic_id: int | None, env: str, source: str, queue: str) -> bool:
        """Whether payloads and log lines of a queue may be shown in a place."""
        return any(one.shows_data and one.matches(env, source, queue) for one in self.of(chat_id, topic_id))

    def may_ring(self, chat_id: int) -> bool:
        """Whether alerts may go there: one of ids, or an admin in private."""
        return chat_id in self.ids() or chat_id in self._settings.telegram_admins

    def is_set(self, chat_id: int) -> bool:
        """Whether settings name a chat, so that it hears of alerts whatever it asks for."""
        routes = (*self._settings.telegram_alert_chats, *self._settings.bot_escalate_to)
        return any(self._now(route.to.chat_id) == self._now(chat_id) for route in routes)

    def ids(self) -> frozenset[int]:
        """The ids, old and new, of the alert chats and of those that alerts escalate to."""
        routes = (*self._settings.telegram_alert_chats, *self._settings.bot_escalate_to, *self._subscribed)
        named = {route.to.chat_id for route in routes}
        return frozenset(named | {self._now(one) for one in named})

    def _routes(self) -> list[Route]:
        """The settings first: they decide whether a place makes a sound."""
        both: list[Route] = [*self._settings.telegram_alert_chats, *self._subscribed]
        return [replace(one, to=self.moved(one.to)) for one in both]

    def moved(self, to: Destination) -> Destination:
        """Where a place is now."""
        return replace(to, chat_id=self._now(to.chat_id))

    def _now(self, chat_id: int) -> int:
        """A group's id after all its moves."""
        for _ in range(len(self._moves)):
            chat_id = self._moves.get(chat_id, chat_id)
        return chat_id


def _reason(number: int, route: Route) -> str:
    if isinstance(route, Subscription):
        return f"/here {route.words}, asked for by {route.by}"
    return f"entry {number} of TELEGRAM_ALERT_CHATS, {route.pattern}"
