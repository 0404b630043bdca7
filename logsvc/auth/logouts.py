"""Logouts that the bot has not heard of yet: told as soon as it answers, so that one while it is away is kept.

They are in memory: a replica that is restarted before the bot is back has forgotten them.
"""

import asyncio
from collections import OrderedDict

import structlog

from logsvc.bot import Bot, BotRefused
from tocsin.access import EndRequest
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.auth")

TELL_SECONDS = 1.0
MOST_WAITING = 1_000


class Logouts:
    """Run `follow` as a supervised part."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._waiting: OrderedDict[str, EndRequest] = OrderedDict()

    async def tell(self, asked: EndRequest) -> bool:
        """Tell the bot, now or when it is back; return whether it has heard."""
        try:
            await self._bot.end(asked)
        except (Unavailable, BotRefused) as failure:
            log.warning("logout_not_told", user_id=asked.user_id, error=str(failure))
            if not _is_final(failure) and len(self._waiting) < MOST_WAITING:
                self._waiting[asked.session_id] = asked
            return False
        return True

    async def follow(self, stop: asyncio.Event) -> None:
        """Tell what waits until stop is set; then once more."""
        while not stop.is_set():
            await pause(stop, TELL_SECONDS)
            await self._tell()

    async def _tell(self) -> None:
        while self._waiting:
            session_id, asked = next(iter(self._waiting.items()))
            try:
                await self._bot.end(asked)
            except (Unavailable, BotRefused) as failure:
                if not _is_final(failure):
                    return
                log.error("audit_incomplete", user_id=asked.user_id, error=str(failure))
            self._waiting.pop(session_id, None)


def _is_final(failure: Unavailable | BotRefused) -> bool:
    return isinstance(failure, BotRefused) and failure.status < 500
