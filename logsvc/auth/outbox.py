"""What the bot is to hear of logins and logouts, kept until it answers.

It is in memory: a replica that dies before the bot is back has forgotten it. So whoever is told that something was done
is told, too, that the bot has not heard of it yet.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from logsvc.bot import BotRefused
from tocsin.access import Arrival, EndRequest
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.auth")

TELL_SECONDS = 1.0
MOST_WAITING = 1_000

T = TypeVar("T", Arrival, EndRequest)


class Outbox(Generic[T]):
    """Tells in the order of `put`. Run `follow` as a part of the service."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, T] = OrderedDict()

    @property
    def is_full(self) -> bool:
        """Whether the bot has been away for so long that no more is kept."""
        return len(self._waiting) >= MOST_WAITING

    def put(self, key: str, item: T) -> None:
        """Keep what is to be told; the same key again takes the place of the former."""
        if not self.is_full:
            self._waiting[key] = item

    async def follow(self, tell: Callable[[T], Awaitable[None]], stop: asyncio.Event) -> None:
        """Tell, as soon as the bot answers, until stop is set; then once more what waits."""
        while not stop.is_set():
            await pause(stop, TELL_SECONDS)
            await self._tell(tell)

    async def _tell(self, tell: Callable[[T], Awaitable[None]]) -> None:
        while self._waiting:
            key, item = next(iter(self._waiting.items()))
            try:
                await tell(item)
            except (Unavailable, BotRefused) as failure:
                if not is_final(failure):
                    return
                log.error("audit_incomplete", user_id=item.user_id, error=str(failure))
            self._waiting.pop(key, None)


def is_final(failure: Unavailable | BotRefused) -> bool:
    """Whether the bot would say the same again."""
    return isinstance(failure, BotRefused) and failure.status < 500
