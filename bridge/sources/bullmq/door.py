"""The bridge's only door to Redis: pipelined commands on raw connections, every wait with a deadline.

Replies come as RESP2 values (bytes, int, None, list), an error reply as `Refused` in its place. The raw connection
skips redis-py's reply callbacks, which cost more than all the rest of a read.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import hiredis
import structlog
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from bridge.errors import SourceUnavailable

log = structlog.get_logger("bridge.door")

Command = tuple[str | bytes | int, ...]
Reply = Any
"""bytes, int, None, a list of these, or Refused."""

Refused = ResponseError
"""An error reply: Redis understood and said no."""


def is_about_key(refused: ResponseError) -> bool:
    """Whether Redis refused this key (another type, or forbidden) and may well answer for others."""
    return isinstance(refused, NoPermissionError) or str(refused).startswith(("WRONGTYPE", "NOPERM"))


ASK_SECONDS = 10.0
MAX_CONNECTIONS = 256


class Door:
    """One Redis, read-only by habit: it sends what it is given. Safe for concurrent use: each call has a connection."""

    def __init__(self, url: str, *, source: str = "", client_name: str = "tocsin-bridge") -> None:
        pool: Any = BlockingConnectionPool  # redis-py leaves these parameters untyped
        self._pool = pool.from_url(
            url,
            protocol=2,
            client_name=client_name,
            socket_connect_timeout=5,
            socket_timeout=None,
            max_connections=MAX_CONNECTIONS,
            timeout=ASK_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._source = source
        self._clock_offset_ms = 0
        self._is_clock_told = False

    async def ask(self, commands: Sequence[Command], *, timeout: float = ASK_SECONDS) -> list[Reply]:
        """Send all commands in one pipeline, return their replies in order.

        Raises SourceUnavailable if Redis cannot be reached, is too slow, or refuses the login.
        """
        if not commands:
            return []
        connection: Any = None
        try:
            async with asyncio.timeout(timeout):
                connection = await self._pool.get_connection()
                await connection.send_packed_command([_pack(commands)], check_health=False)
                replies = [await _read(connection) for _ in commands]
        except BaseException as error:
            if connection is not None:
                with suppress(Exception):
                    await connection.disconnect(nowait=True)
            if isinstance(error, RedisError | OSError | TimeoutError):
                raise SourceUnavailable(str(error) or type(error).__name__) from error
            raise
        finally:
            if connection is not None:
                await self._pool.release(connection)
        return replies

    async def one(self, *command: str | bytes | int, timeout: float = ASK_SECONDS) -> Reply:
        """Send one command; raise SourceUnavailable also when it is refused."""
        reply = (await self.ask([command], timeout=timeout))[0]
        if isinstance(reply, Refused):
            raise SourceUnavailable(f"{command[0]!s} was refused: {reply}")
        return reply

    async def read_clock(self) -> int:
        """Read Redis's own clock (ms) by INFO, else by TIME, and remember how far it is from ours.

        Where both are refused ours must do: that is said once.
        """
        now = _time_of((await self.ask([("INFO", "server")]))[0])
        if now is None:
            now = _time_of((await self.ask([("TIME",)]))[0])
        if now is not None:
            self._clock_offset_ms = now - int(time.time() * 1000)
        elif not self._is_clock_told:
            self._is_clock_told = True
            log.warning("clock_refused", source=self._source, mend="allow INFO or TIME; our own clock is used")
        return self.now_ms()

    def now_ms(self) -> int:
        """Redis's clock as of the last reading, ms."""
        return int(time.time() * 1000) + self._clock_offset_ms

    async def close(self) -> None:
        """Close every connection."""
        with suppress(RedisError, OSError):
            await self._pool.aclose()


def _time_of(reply: Reply) -> int | None:
    """The server's time (ms) in INFO's or TIME's reply; None if it was refused, or tells none."""
    if isinstance(reply, list):
        seconds, microseconds = cast(list[bytes], reply)
        return int(seconds) * 1000 + int(microseconds) // 1000
    for line in reply.split(b"\r\n") if isinstance(reply, bytes) else ():
        if line.startswith(b"server_time_usec:"):
            return int(line.partition(b":")[2]) // 1000
    return None


def _pack(commands: Sequence[Command]) -> bytes:
    """hiredis packs in C; redis-py's own way costs as much as translating the events."""
    pack = cast(Any, hiredis).pack_command  # its stub allows commands of one part only
    return b"".join([pack(command) for command in commands])


async def _read(connection: Any) -> Reply:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as refused:
        return refused
