"""One Redis process at a time: whatever one pool of connections leads to.

redis-py connects and logs in. Replies are taken from its parser in one loop, past its own call for each: these calls
and what they call took 8 % of the bridge's CPU.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import hiredis
from redis._parsers.hiredis import NOT_ENOUGH_DATA  # what the parser of each connection was made to say
from redis.exceptions import AskError, RedisError, ResponseError
from redis.exceptions import ConnectionError as ConnectionFailed

from bridge.errors import SourceUnavailable, TooSlow
from bridge.sources.bullmq.door.link import ASK_SECONDS, AWAY, Command, Link, Reply, Tracking, why
from bridge.sources.bullmq.door.pools import Pool
from tocsin.breakers import Guard

CHUNK_BYTES = 256 * 1024

NOT_ALONE = 'this is one node of a cluster: its source needs mode = "cluster" in TOCSIN_SOURCES_FILE'


class Single:
    """Each call has a connection of its own.

    guard: holds each call. primary: who is written to, if the pool leads to a replica of it. is_node: it is one of a
    cluster, and we know.
    """

    def __init__(self, pool: Pool, guard: Guard, *, primary: "Single | None" = None, is_node: bool = False) -> None:
        self._pool = pool
        self._guard = guard
        self._is_node = is_node
        self._primary = primary
        self._is_closed = False

    @property
    def may_lag(self) -> bool:
        return self._primary is not None

    async def ask(
        self, commands: Sequence[Command], *, timeout: float = ASK_SECONDS, as_text: bool = False
    ) -> list[Reply]:
        if self._is_closed:  # its pool would connect again, and its failures count for nobody who is there
            raise SourceUnavailable("it is no part of the source any more")
        connection: Any = None
        try:
            async with self._guard(timeout):
                connection = await self._pool.get_connection()
                await connection.send_packed_command([pack(commands)], check_health=False)
                replies = await _read(connection, len(commands), as_text=as_text)
                if not self._is_node and any(isinstance(reply, AskError) for reply in replies):
                    raise SourceUnavailable(NOT_ALONE)
        except BaseException as error:
            if connection is not None:
                with suppress(Exception):
                    await connection.disconnect(nowait=True)
            if isinstance(error, AWAY):
                is_late = isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError)
                is_asked = connection is not None  # else nobody can say that the reply takes long
                raise (TooSlow if is_late and is_asked else SourceUnavailable)(why(error)) from error
            raise
        finally:
            if connection is not None:
                await self._pool.release(connection)
        return replies

    async def ask_primary(self, commands: Sequence[Command]) -> list[Reply]:
        return await (self._primary or self).ask(commands)

    async def parts(self) -> Sequence[Link]:
        return [self]

    async def primaries(self) -> Sequence[Link]:
        return [self._primary or self]

    def groups(self, keys: Iterable[str]) -> list[list[str]]:
        return [list(keys)]

    def shard(self, key: str) -> str:
        return self._pool.process

    @asynccontextmanager
    async def blocking(self) -> AsyncGenerator[bool]:
        yield True  # the pool has room

    async def agree_to_cluster(self) -> None:
        if self._is_node:
            return
        slots = (await self.ask([("CLUSTER", "SLOTS")]))[0]
        if not isinstance(slots, list) or len({str(shard[2][:2]) for shard in cast(list[list[Reply]], slots)}) != 1:
            raise SourceUnavailable(NOT_ALONE)

    async def look_around(self) -> None:
        for link in (self, self._primary):
            if link is not None:
                with suppress(RedisError, OSError, TimeoutError):  # whoever is read will tell
                    await link._pool.look_around()

    @property
    def tracking(self) -> Tracking | None:
        def connect() -> Any:
            pool = cast(Any, self._pool)
            return pool.connection_class(**{**pool.connection_kwargs, "protocol": 3})

        return Tracking(connect, self._guard, lambda: self._pool.process, self._pool.reached)

    async def close(self) -> None:
        for link in (self, self._primary):
            if link is not None:
                link._is_closed = True
                with suppress(RedisError, OSError):
                    await link._pool.aclose()


def pack(commands: Sequence[Command]) -> bytes:
    """hiredis packs in C; redis-py's own way costs as much as translating the events."""
    pack = cast(Any, hiredis).pack_command  # its stub allows commands of one part only
    return b"".join([pack(command) for command in commands])


async def _read(connection: Any, count: int, *, as_text: bool) -> list[Reply]:
    """So many replies. Whatever is raised, what is left of them is still to come: the connection is of no use then."""
    parser, stream = connection._parser._reader, connection._reader
    parser.set_encoding("utf-8" if as_text else None, "replace")
    replies: list[Reply] = []
    while len(replies) < count:
        reply = parser.gets(as_text)
        if reply is NOT_ENOUGH_DATA:
            chunk = await stream.read(CHUNK_BYTES)
            if not chunk:
                raise ConnectionFailed("Connection closed by server.")
            parser.feed(chunk)
        elif isinstance(reply, RedisError) and not isinstance(reply, ResponseError):
            raise reply  # it is loading, or refuses the login: said of the connection, not of the command
        else:
            replies.append(reply)
    return replies
