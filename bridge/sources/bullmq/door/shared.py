"""One connection that many ask through at a time, and that Redis pushes to (RESP3).

Nobody waits for the replies of others, and what is asked at one moment goes out as one packet: packets cost Redis more
than what is in them. Replies and pushes are taken in the order they arrive.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import hiredis
from redis._parsers.hiredis import NOT_ENOUGH_DATA  # what the parser of each connection was made to say
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import RedisError, ResponseError

from bridge.sources.bullmq.door.link import Command, Reply
from bridge.sources.bullmq.door.single import CHUNK_BYTES, pack
from bridge.sources.bullmq.door.together import GATHER_SECONDS

QUIET_SECONDS = 2.0
"""Without a word Redis is asked whether it is there, and given up after as long again."""

_ALIVE: Command = ("PING",)

Push = Callable[[Sequence[Any]], None]


@dataclass(slots=True)
class _Asked:
    """By one of those who share it."""

    count: int
    as_text: bool
    on_reply: Callable[[int, Reply], None]
    replies: asyncio.Future[list[Reply]]
    found: list[Reply] = field(default_factory=list[Reply])


class Shared:
    """connection: redis-py's, connected. on_push: called with each push. on_end: once, with why it `has_ended`."""

    def __init__(self, connection: Any, *, on_push: Push, on_end: Callable[[Exception], None]) -> None:
        self._connection = connection
        self._on_push = on_push
        self._on_end = on_end
        self._asked: deque[_Asked] = deque()
        self._unsent: list[bytes] = []
        self.has_ended = False
        self._reading = asyncio.create_task(self._run(), name="redis-shared")

    async def ask(
        self, commands: Sequence[Command], *, on_reply: Callable[[int, Reply], None], as_text: bool = False
    ) -> list[Reply]:
        """Their replies, in order. Whoever gives up waiting leaves the others theirs. Raises RedisError or OSError.

        on_reply: called with the place of a command and its reply, as that arrives, as long as somebody waits.
        """
        if not commands:
            return []
        if self.has_ended:
            raise ConnectionFailed("the connection has ended")
        replies: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        self._asked.append(_Asked(len(commands), as_text, on_reply, replies))
        self._send(commands)
        return await replies

    async def close(self) -> None:
        """End it."""
        self._end(ConnectionFailed("the connection was closed"))
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._disconnect()  # a task that was cancelled before it began has no end

    def _send(self, commands: Sequence[Command]) -> None:
        if not self._unsent:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush)
        self._unsent.append(pack(commands))

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self.has_ended:
            self._connection._writer.write(b"".join(unsent))

    async def _run(self) -> None:
        """Take what arrives until it fails."""
        try:
            await self._read()
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody is to wait for more
            self._end(error)
        finally:
            await self._disconnect()

    async def _read(self) -> None:
        parser = self._connection._parser._reader
        parser.set_encoding("utf-8", "replace")
        while True:
            reply = parser.gets(bool(self._asked) and self._asked[0].as_text)
            if reply is NOT_ENOUGH_DATA:
                parser.feed(await self._arrived())
            elif isinstance(reply, hiredis.PushNotification):
                self._on_push(cast(Sequence[Any], reply))
            elif isinstance(reply, RedisError) and not isinstance(reply, ResponseError):
                raise reply  # said of the connection, not of the command
            else:
                self._take(reply)

    async def _arrived(self) -> bytes:
        """What comes next: at least one byte."""
        for is_last in (False, True):
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    chunk = await self._connection._reader.read(CHUNK_BYTES)
            except TimeoutError:
                if is_last:
                    raise
                self._ask_whether_it_is_there()
                continue
            if not chunk:
                break
            return chunk
        raise ConnectionFailed("Connection closed by server.")

    def _ask_whether_it_is_there(self) -> None:
        replies: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        self._asked.append(_Asked(1, False, _nothing, replies))
        self._send([_ALIVE])

    def _take(self, reply: Reply) -> None:
        """A reply to whoever asked first. A map is told as RESP2 tells it: by its pairs."""
        asked = self._asked[0]
        if isinstance(reply, dict):
            reply = list(cast(dict[Any, Any], reply).items())
        is_waited_for = not asked.replies.done()
        if is_waited_for:
            asked.on_reply(len(asked.found), reply)
        asked.found.append(reply)
        if len(asked.found) == asked.count:
            self._asked.popleft()
            if is_waited_for:
                asked.replies.set_result(asked.found)

    def _end(self, error: Exception) -> None:
        if self.has_ended:
            return
        self.has_ended = True
        for asked in self._asked:
            if not asked.replies.done():
                asked.replies.set_exception(error)
                asked.replies.exception()  # nobody may be waiting
        self._asked.clear()
        self._on_end(error)

    async def _disconnect(self) -> None:
        with suppress(Exception):
            await self._connection.disconnect(nowait=True)


def _nothing(at: int, reply: Reply) -> None:
    """Nobody wants to know."""
