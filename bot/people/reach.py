"""Who can be written to in private: Telegram lets nobody be who has never pressed Start, or has blocked the bot."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

from bot.errors import Gone, TelegramError, Unreachable
from bot.telegram import TELEGRAM
from tocsin.breakers import Breakers, Unavailable

log = structlog.get_logger("reach")

REACH_SECONDS = 2.0
AT_ONCE = 5


class Typing(Protocol):
    """Telegram, as far as it is asked here."""

    async def show_typing(self, chat_id: int) -> None: ...


@dataclass
class Reach:
    """One for the process."""

    telegram: Typing
    breakers: Breakers

    async def out_of_reach(self, user_ids: Collection[int]) -> set[int]:
        """Those who certainly cannot be written to."""
        found, turns = set[int](), asyncio.Semaphore(AT_ONCE)

        async def look(user_id: int) -> None:
            async with turns:
                if await self._refuses(user_id):
                    found.add(user_id)

        try:
            async with asyncio.timeout(REACH_SECONDS), asyncio.TaskGroup() as tasks:
                for one in set(user_ids):
                    tasks.create_task(look(one))
        except TimeoutError:
            log.info("reach_unknown", error="Telegram was not done in time")
        return found

    async def _refuses(self, user_id: int) -> bool:
        try:
            async with self.breakers.guard(TELEGRAM, timeout=REACH_SECONDS, errors_that_count=(Unreachable,)):
                await self.telegram.show_typing(user_id)
        except Gone:
            return True
        except (TelegramError, Unavailable) as failure:
            log.info("reach_unknown", error=str(failure))
        return False
