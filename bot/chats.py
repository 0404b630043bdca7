"""The alert chats as they are now: the settings' routes, with groups that moved to a new id."""

from collections.abc import Mapping
from dataclasses import replace

from bot.routes import Destination
from bot.settings import BotSettings


class Chats:
    """Routes and moves. Moves are learned from Telegram, kept in Postgres, and put here at start."""

    def __init__(self, settings: BotSettings) -> None:
        self._settings = settings
        self._moves: dict[int, int] = {}

    def learn(self, moves: Mapping[int, int]) -> None:
        """Take note of groups that have a new id."""
        self._moves.update(moves)

    def destinations(self, env: str, source: str, queue: str) -> list[Destination]:
        """Where a queue's alerts go now."""
        return [self._moved(to) for to in self._settings.destinations(env, source, queue)]

    def all_destinations(self) -> list[Destination]:
        """Every destination named in the settings, each once; the admins in private if none is."""
        named = [route.to for route in self._settings.telegram_alert_chats]
        everyone = named or [Destination(admin) for admin in self._settings.telegram_admins]
        return list({(to.chat_id, to.topic_id): self._moved(to) for to in everyone}.values())

    def why(self, env: str, source: str, queue: str) -> list[tuple[Destination, str]]:
        """Where a queue's alerts go now, each with the entry of TELEGRAM_ALERT_CHATS that sends them there."""
        routes = enumerate(self._settings.telegram_alert_chats, start=1)
        matching = [(route, number) for number, route in routes if route.matches(env, source, queue)]
        first = {(route.to.chat_id, route.to.topic_id): (route, number) for route, number in reversed(matching)}
        named = [(self._moved(route.to), f"entry {number}, {route.pattern}") for route, number in first.values()]
        admins = [(Destination(one), "no entry matches, so TELEGRAM_ADMINS") for one in self._settings.telegram_admins]
        return named or admins

    def may_ring(self, chat_id: int) -> bool:
        """Whether alerts may go there: an alert chat, or an admin in private."""
        return chat_id in self.ids() or chat_id in self._settings.telegram_admins

    def ids(self) -> frozenset[int]:
        """The alert chats' ids, old and new."""
        named = {route.to.chat_id for route in self._settings.telegram_alert_chats}
        return frozenset(named | {self._now(one) for one in named})

    def _moved(self, to: Destination) -> Destination:
        return replace(to, chat_id=self._now(to.chat_id))

    def _now(self, chat_id: int) -> int:
        """A group's id after all its moves."""
        for _ in range(len(self._moves)):
            chat_id = self._moves.get(chat_id, chat_id)
        return chat_id
