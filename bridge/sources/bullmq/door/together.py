"""Small questions of several lanes at one moment go to Redis as one.

What a question costs Redis, and us, is most of all the packet it comes in, and the one with the answers: they are read
and written by a system call each. A lane asks for few things at a time, and a source has a lane for each partition.

No lane is to suffer from what another asks: what is not answered at once, or fails, is asked by each for itself, and
for a while everything is.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, islice
from typing import Protocol

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door.link import ASK_SECONDS, Command, Reply

GATHER_SECONDS = 0.002
"""How long the first waits for others."""

AT_ONCE_SECONDS = 1.0
"""What takes longer is asked apart."""

APART_SECONDS = 60.0
"""For so long then."""

SMALL = 100
"""Commands of a question that is asked with others: a bigger one would keep them waiting."""


class Ask(Protocol):
    """As Door.ask."""

    def __call__(self, commands: Sequence[Command], *, timeout: float) -> Awaitable[list[Reply]]: ...


_Waiting = tuple[Sequence[Command], asyncio.Future[list[Reply] | None]]


class Together:
    """For questions to one process."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._apart_until = -math.inf

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """The replies to these. Raises what `ask` raises."""
        if len(commands) <= SMALL and self._clock() >= self._apart_until:
            replies = await self._with_others(commands)
            if replies is not None:
                return replies
        return await self._ask(commands, timeout=ASK_SECONDS)

    async def _with_others(self, commands: Sequence[Command]) -> list[Reply] | None:
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_later(GATHER_SECONDS, self._send)
        replies: asyncio.Future[list[Reply] | None] = loop.create_future()
        self._waiting.append((commands, replies))
        return await replies

    def _send(self) -> None:
        waiting = [one for one in self._waiting if not one[1].cancelled()]
        self._waiting = []
        if waiting:
            task = asyncio.create_task(self._answer(waiting), name="ask-together")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _answer(self, waiting: Sequence[_Waiting]) -> None:
        """Give each its replies; None = it has to ask for itself."""
        left = iter(waiting)
        try:
            commands = [*chain.from_iterable(commands for commands, _ in waiting)]
            replies = iter(await self._ask(commands, timeout=AT_ONCE_SECONDS))
            for commands, future in left:
                _set(future, list(islice(replies, len(commands))))
        except SourceUnavailable:
            self._apart_until = self._clock() + APART_SECONDS
        finally:
            for _, future in left:
                _set(future, None)


def _set(future: asyncio.Future[list[Reply] | None], replies: list[Reply] | None) -> None:
    if not future.done():
        future.set_result(replies)
