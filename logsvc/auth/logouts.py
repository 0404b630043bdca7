"""Logouts, told to the bot, from which every replica hears of them: at once, or when it is back."""

import asyncio

import structlog

from logsvc.auth.outbox import Outbox, is_final
from logsvc.bot import Bot, BotRefused
from tocsin.access import EndRequest
from tocsin.breakers import Unavailable

log = structlog.get_logger("logsvc.auth")


class Logouts:
    """Run `follow` as a supervised part."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._outbox = Outbox[EndRequest]()

    async def tell(self, asked: EndRequest) -> bool:
        """Tell the bot, now or when it is back; return whether it has heard."""
        try:
            await self._bot.end(asked)
        except (Unavailable, BotRefused) as failure:
            log.warning("logout_not_told", user_id=asked.user_id, error=str(failure))
            if not is_final(failure):
                self._outbox.put(asked.session_id, asked)
            return False
        return True

    async def follow(self, stop: asyncio.Event) -> None:
        """Tell what waits until stop is set; then once more."""
        await self._outbox.follow(self._bot.end, stop)
