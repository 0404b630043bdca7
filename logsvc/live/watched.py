"""Tells `/ws` of what no record of Kafka tells of: what the bot keeps, and how Tocsin itself does.

Looked at each second, and only while somebody listens for it.
"""

import asyncio
import time
from collections.abc import Callable, Hashable

from logsvc.bot import Bot, BotRefused
from logsvc.live.refresh_feed import RefreshFeed
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.refresh import OF_BOT, OF_SYSTEM, RefreshType

LOOK_SECONDS = 1.0
OLD_SECONDS = 5
AWAY = "away"


class Watched:
    """Run `run` as a supervised part. system: another value once something about Tocsin itself has changed."""

    def __init__(self, feed: RefreshFeed, bot: Bot, system: Callable[[], Hashable]) -> None:
        self._feed = feed
        self._bot = bot
        self._system = system
        self._seen: dict[RefreshType, Hashable] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stop is set."""
        while not await pause(stop, LOOK_SECONDS):
            if self._feed.is_wanted(OF_SYSTEM):
                self._note(OF_SYSTEM, self._system())
            if self._bot.is_configured and any(self._feed.is_wanted(kind) for kind in OF_BOT):
                for kind, word in zip(OF_BOT, await self._ask(), strict=True):
                    self._note(kind, word)

    async def _ask(self) -> tuple[str, str, str]:
        """A bot that is away is a change too, and so is one that is back."""
        try:
            told = await self._bot.changes()
        except BotRefused:  # one of a release before, which cannot tell: it is looked at every few seconds
            now = f"{time.monotonic() // OLD_SECONDS}"
            return now, now, now
        except Unavailable:
            return AWAY, AWAY, AWAY
        return told.incidents, told.rules, told.audit

    def _note(self, kind: RefreshType, now: Hashable) -> None:
        """What was never looked at may have changed meanwhile: told, too."""
        if self._seen.get(kind) != now:
            self._seen[kind] = now
            self._feed.tell(kind)
