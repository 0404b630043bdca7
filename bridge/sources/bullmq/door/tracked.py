"""Reads on which Redis tells what has changed since: what did not need not be read again.

Pushes and replies are taken in the order they arrive, so a key that changes right after it was read is known to have.
Where there is no tracking (refused, a proxy, RESP2 only) everything may have changed, and reads go where all others go.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door.link import ASK_SECONDS, Command, Reply
from bridge.sources.bullmq.door.tracker import Tracker


class Tracked:
    """The keys of one reader. Not for concurrent use."""

    def __init__(self, tracker: Tracker, news: asyncio.Event) -> None:
        self._tracker = tracker
        self._known: set[str] = set()
        self._told: set[str] = set()
        self._news = news

    @property
    def is_on(self) -> bool:
        """Whether Redis tells; else every key may have changed."""
        return self._tracker.is_on

    @property
    def has_news(self) -> bool:
        """Whether a key changed since it was asked which did."""
        return self.is_on and bool(self._told)

    async def changed(self, keys: Collection[str]) -> list[str]:
        """Of these keys those that may have changed until now since they were read; those left out are forgotten."""
        await self._tracker.renew()
        if not await self._hear():
            return list(keys)
        self._forget(self._known.difference(keys))
        self._told.clear()
        return [key for key in keys if key not in self._known]

    async def news(self, keys: Collection[str], seconds: float) -> tuple[set[str], list[str]]:
        """Of these keys those that have changed since they were read, and those of which nothing is known.

        Waits so long for one of either, or for news of whoever shares them. Those left out are forgotten.
        """
        await self._tracker.renew()
        self._forget(self._known.difference(keys))
        found = self._take(keys)
        if seconds > 0 and not any(found):
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            found = self._take(keys)
        return found

    async def ask(
        self,
        commands: Sequence[Command],
        keys: Sequence[Sequence[str]] | None = None,
        *,
        seconds: float = ASK_SECONDS,
        as_text: bool = False,
    ) -> list[Reply]:
        """Send all commands, return their replies in order. keys: what each reads; else its first argument.

        Raises SourceUnavailable, and then nothing is known.
        """
        read = [(str(command[1]),) for command in commands] if keys is None else keys
        return await self._tracker.ask(self, commands, read, seconds=seconds, as_text=as_text)

    def knows(self, key: str) -> bool:
        """Whether it has not changed since it was read, as far as Redis has told."""
        return key in self._known

    async def should_have_told(self, key: str) -> None:
        """It has changed. A Redis that has not told, though it was read before, is not relied on for a while."""
        if self.knows(key) and await self._hear() and self.knows(key):
            await self._tracker.note_silent()

    async def note_idle(self) -> None:
        """A change was told of that was none."""
        await self._tracker.note_idle()

    def rest(self) -> None:
        """Nothing is of interest for now."""
        self._forget(set(self._known))
        self._told.clear()

    def learn(self, key: str) -> None:
        """It was read."""
        self._known.add(key)
        self._told.discard(key)

    def tell(self, key: str) -> None:
        """It has changed."""
        self._known.discard(key)
        self._told.add(key)
        self._news.set()

    def lose(self, key: str) -> None:
        """Somebody else is told of it."""
        self._known.discard(key)

    def lose_all(self) -> None:
        """Redis tells no more, or all may have changed."""
        self._known.clear()
        self._told.clear()
        self._news.set()

    async def _hear(self) -> bool:
        """Take what was pushed until now: it comes before this reply. False = Redis tells nothing."""
        try:
            await self._tracker.ask(self, [("PING",)], [()], seconds=ASK_SECONDS, as_text=False)
        except SourceUnavailable:
            return False
        return True

    def _forget(self, keys: Collection[str]) -> None:
        self._known.difference_update(keys)
        self._tracker.forget(self, keys)

    def _take(self, keys: Collection[str]) -> tuple[set[str], list[str]]:
        self._news.clear()
        told = self._told.intersection(keys)
        self._told.clear()
        return told, [key for key in keys if key not in self._known and key not in told]
