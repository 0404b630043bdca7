"""Which streams have something new: asked before anything is read, so that a quiet queue costs next to nothing.

Streams that one command may name are waited for by one blocking XREAD. Those of many slots of a cluster cannot be: they
are looked at again and again, those that had something lately each time, the others in turn.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.watched import Queue

BLOCK_MS = 1000
LOOK_SECONDS = 0.05
HOT_SECONDS = 10.0
"""A stream that had something so lately is looked at each time."""

TURN_SECONDS = 0.5
"""How long another stream may wait to be looked at."""


class Wakeup:
    """Waits for one lane. Not for concurrent use."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._woken_at: dict[str, float] = {}
        self._looked_at: dict[str, float] = {}

    async def wait(self, queues: Mapping[str, Queue], *, is_hurried: bool) -> set[str]:
        """The streams with entries after their position; all of a group that Redis refuses: reading tells which.

        queues: by the stream's key, at least one. is_hurried: do not wait for one, there is something to do anyhow.
        Returns after BLOCK_MS at the latest. Raises SourceUnavailable.
        """
        groups = self._door.groups(queues)
        if len(groups) == 1 and is_hurried:
            return await self._ask(queues, groups)
        if len(groups) == 1:
            async with self._door.blocking() as may_block:
                if may_block:
                    return await self._ask(queues, groups, block_ms=BLOCK_MS)
        return await self._look(queues, is_hurried=is_hurried)

    async def _look(self, queues: Mapping[str, Queue], *, is_hurried: bool) -> set[str]:
        end = time.monotonic() + BLOCK_MS / 1000
        while True:
            due = self._due(queues)
            woken = await self._ask(queues, self._door.groups(due)) if due else set[str]()
            self._woken_at |= dict.fromkeys(woken, time.monotonic())
            if woken or is_hurried or time.monotonic() >= end:
                return woken
            await asyncio.sleep(LOOK_SECONDS)

    def _due(self, keys: Iterable[str]) -> list[str]:
        """The hot ones, and those whose turn it is."""
        now, never = time.monotonic(), float("-inf")
        due = [
            key
            for key in keys
            if now - self._woken_at.get(key, never) < HOT_SECONDS
            or now - self._looked_at.get(key, never) >= TURN_SECONDS
        ]
        self._looked_at |= dict.fromkeys(due, now)
        return due

    async def _ask(
        self, queues: Mapping[str, Queue], groups: Iterable[Sequence[str]], *, block_ms: int | None = None
    ) -> set[str]:
        asked = list(groups)
        commands = [_command(queues, keys, block_ms) for keys in asked]
        replies = await self._door.ask(commands, timeout=(block_ms or 0) / 1000 + 5)
        woken: set[str] = set()
        for keys, reply in zip(asked, replies, strict=True):
            if isinstance(reply, Refused):
                woken.update(keys)
                continue
            for name, entries in cast(list[tuple[bytes, list[Reply]]], reply or []):
                woken.add(name.decode())
                queues[name.decode()].portion.expect(sum(len(part) for part in cast(list[bytes], entries[0][1])))
        return woken


def _command(queues: Mapping[str, Queue], keys: Sequence[str], block_ms: int | None) -> Command:
    block = () if block_ms is None else ("BLOCK", block_ms)
    return ("XREAD", "COUNT", 1, *block, "STREAMS", *keys, *(queues[key].position.last_id for key in keys))
