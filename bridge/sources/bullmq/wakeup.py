"""Which streams have something new: known before anything is read, so that a quiet queue costs next to nothing.

Redis tells of each stream that was read when it changes (door/tracked.py); those of which nothing is known yet are
looked at once. Where it does not tell, streams are looked at again and again.

A look costs Redis in proportion to the streams it names, whichever of them has something. So those that had something
lately are waited for apart from the rest, which are looked at in rounds; and after each look comes a rest, as long as
the source's budget of looks wants it. While nothing happens one blocking XREAD waits for all.

Streams of many slots of a cluster cannot be waited for by one command: they are looked at again and again, within the
same budget.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import cast

from bridge.errors import SourceUnavailable, TooSlow
from bridge.sources.bullmq.door import Command, Door, Refused, Reply, Tracked
from bridge.sources.bullmq.watched import Queue

LOOKS_A_SECOND = 15_000
"""Streams named a second, all lanes of a source together: some 2 % of a core of its Redis (1.0 to 1.4 us each)."""

BLOCK_MS = 1000
LOOK_SECONDS = 5.0
REFUSED_SECONDS = 1.0
"""After a look that was refused, before another one that reads all it names."""

HOT_SECONDS = 3.0
"""A stream that had something so lately is waited for apart."""

APART_SECONDS = 0.05
TURN_SECONDS = 0.5
"""Where every stream needs a command of its own: between two looks at a hot one, and how long a quiet one waits for its
turn. Both are longer where the budget wants it."""


class Wakeup:
    """Waits for one lane. Not for concurrent use. all_queues: how many the source has, in this replica or another.

    tracked: through which the lane reads what it follows; None = Redis tells nothing.
    """

    def __init__(self, door: Door, all_queues: Callable[[], int], tracked: Tracked | None = None) -> None:
        self._door = door
        self._tracked = tracked
        self._all_queues = all_queues
        self._woken_at: dict[str, float] = {}
        self._looked_at: dict[str, float] = {}
        self._rested_at = 0.0
        self._next_round = 0.0

    async def wait(self, queues: Mapping[str, Queue], *, is_hurried: bool) -> set[str]:
        """The streams with entries after their position; all where Redis refuses or is slow: reading tells which.

        queues: by the stream's key, at least one. is_hurried: do not wait for one, there is something to do anyhow.
        Returns after about BLOCK_MS at the latest. Raises SourceUnavailable.
        """
        if self._tracked is not None:
            told, unknown = await self._tracked.news(queues, 0 if is_hurried else BLOCK_MS / 1000)
            if self._tracked.is_on:
                for key in told:
                    queues[key].lag.told(self._door.now_ms())
                return told | await self._look_once(self._tracked, queues, unknown)
        groups = self._door.groups(queues)
        if len(groups) == 1:
            async with self._door.blocking() as may_block:
                if may_block or is_hurried:
                    return await self._wait_together(queues, is_hurried=is_hurried)
        return await self._look_apart(queues, is_hurried=is_hurried)

    async def _look_once(self, tracked: Tracked, queues: Mapping[str, Queue], unknown: Sequence[str]) -> set[str]:
        """Look at streams of which nothing is known. Which of them Redis refuses is told apart by reading."""
        if not unknown or time.monotonic() < self._rested_at:
            return set()
        try:
            (reply,) = await tracked.ask([_command(queues, unknown, None)], [unknown], seconds=LOOK_SECONDS)
        except SourceUnavailable:  # it tells no more
            return set()
        if isinstance(reply, Refused):
            self._rested_at = time.monotonic() + REFUSED_SECONDS
        return self._woken(queues, unknown, reply)

    async def _wait_together(self, queues: Mapping[str, Queue], *, is_hurried: bool) -> set[str]:
        if is_hurried and time.monotonic() < self._rested_at:
            return set()
        await asyncio.sleep(self._rested_at - time.monotonic())
        now, hot = time.monotonic(), self._apart(queues)
        is_round = not hot or now >= self._next_round
        block_ms = min(BLOCK_MS, 1 + int((self._next_round - now) * 1000)) if hot else BLOCK_MS
        is_blocking = not is_hurried and not (hot and is_round)
        woken = await self._ask(queues, [list(queues) if is_round else hot], block_ms=block_ms if is_blocking else None)
        now = time.monotonic()
        self._woken_at |= dict.fromkeys(woken, now)
        if is_round:
            self._next_round = now + self._rest(len(queues), len(queues))
        self._rested_at = now + self._rest(len(self._apart(queues)) or len(queues), len(queues))
        return woken

    def _apart(self, queues: Collection[str]) -> list[str]:
        """The hot ones; none if they are most: then there is nothing to part."""
        hot = self._hot(queues)
        return hot if len(hot) * 2 < len(queues) else []

    def _rest(self, asked: int, mine: int) -> float:
        """Seconds without a look after one at so many streams: the hot and the rounds have half of the budget each."""
        share = mine / max(mine, self._all_queues())
        return 2 * asked / (LOOKS_A_SECOND * share)

    def _hot(self, queues: Collection[str]) -> list[str]:
        now = time.monotonic()
        self._woken_at = {key: at for key, at in self._woken_at.items() if now - at < HOT_SECONDS and key in queues}
        return list(self._woken_at)

    async def _look_apart(self, queues: Mapping[str, Queue], *, is_hurried: bool) -> set[str]:
        end = time.monotonic() + BLOCK_MS / 1000
        while True:
            due = self._due(queues)
            woken = await self._ask(queues, self._door.groups(due)) if due else set[str]()
            self._woken_at |= dict.fromkeys(woken, time.monotonic())
            if woken or is_hurried or time.monotonic() >= end:
                return woken
            await asyncio.sleep(APART_SECONDS)

    def _due(self, queues: Collection[str]) -> list[str]:
        """Those whose turn it is; it comes sooner for the hot ones."""
        now, never, mine, hot = time.monotonic(), float("-inf"), len(queues), set(self._hot(queues))
        often = max(APART_SECONDS, self._rest(len(hot), mine))
        seldom = max(TURN_SECONDS, self._rest(mine, mine))
        due = [key for key in queues if now - self._looked_at.get(key, never) >= (often if key in hot else seldom)]
        self._looked_at = {key: at for key, at in self._looked_at.items() if key in queues} | dict.fromkeys(due, now)
        return due

    async def _ask(
        self, queues: Mapping[str, Queue], groups: Iterable[Sequence[str]], *, block_ms: int | None = None
    ) -> set[str]:
        asked = list(groups)
        commands = [_command(queues, keys, block_ms) for keys in asked]
        try:
            replies = await self._door.ask(commands, timeout=(block_ms or 0) / 1000 + LOOK_SECONDS)
        except TooSlow:  # the entries that wake us may be too big together: reading does them apart
            return {key for keys in asked for key in keys}
        woken: set[str] = set()
        for keys, reply in zip(asked, replies, strict=True):
            woken |= self._woken(queues, keys, reply)
        return woken

    def _woken(self, queues: Mapping[str, Queue], keys: Sequence[str], reply: Reply) -> set[str]:
        """The streams that a look at these found something in."""
        if isinstance(reply, Refused):
            return set(keys)
        woken: set[str] = set()
        for name, entries in cast(list[tuple[bytes, list[Reply]]], reply or []):
            woken.add(name.decode())
            queue, (entry_id, fields) = queues[name.decode()], cast(tuple[bytes, list[bytes]], entries[0])
            queue.portion.expect(sum(map(len, fields)))
            queue.lag.unread(int(entry_id.partition(b"-")[0]))
        return woken


def _command(queues: Mapping[str, Queue], keys: Sequence[str], block_ms: int | None) -> Command:
    block = () if block_ms is None else ("BLOCK", block_ms)
    return ("XREAD", "COUNT", 1, *block, "STREAMS", *keys, *(queues[key].position.last_id for key in keys))
