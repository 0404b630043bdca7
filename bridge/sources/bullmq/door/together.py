"""Small questions of several lanes at one moment go to Redis as one.

What a question costs Redis, and us, is most of all the packet it comes in, and the one with the answers: they are read
and written by a system call each. A lane asks for few things at a time, and a source has a lane for each partition.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, islice

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door.link import Command, Reply

GATHER_SECONDS = 0.002
"""How long the first waits for others."""

SMALL = 100
"""Commands of a question that is asked with others: a bigger one would keep them waiting."""

Ask = Callable[[Sequence[Command]], Awaitable[list[Reply]]]
_Waiting = tuple[Sequence[Command], asyncio.Future[list[Reply]]]


class Together:
    """For questions to one process. ask: as Door.ask; what it raises is raised to all whose questions went together."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._waiting: list[_Waiting] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """The replies to these. Raises SourceUnavailable."""
        if len(commands) > SMALL:
            return await self._ask(commands)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_later(GATHER_SECONDS, self._send)
        replies: asyncio.Future[list[Reply]] = loop.create_future()
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
        try:
            replies = iter(await self._ask([*chain.from_iterable(commands for commands, _ in waiting)]))
        except BaseException as error:
            for _, future in waiting:
                _fail(future, error)
            if not isinstance(error, Exception):
                raise
            return
        for commands, future in waiting:
            mine = list(islice(replies, len(commands)))
            if not future.done():
                future.set_result(mine)


def _fail(future: asyncio.Future[list[Reply]], error: BaseException) -> None:
    """Raise an error of its own to each: one that several tasks raise grows with each of them."""
    if future.done():
        return
    if isinstance(error, SourceUnavailable):
        future.set_exception(type(error)(str(error)))
    elif isinstance(error, asyncio.CancelledError):
        future.cancel()
    else:
        future.set_exception(error)
