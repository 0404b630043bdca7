"""Reads on which Redis tells what has changed since (CLIENT TRACKING): what did not need not be read again.

Redis remembers for one connection the keys read through it and pushes the name of each once it changes. Pushes and
replies are taken in the order they arrive, so a key that changes right after it was read is known to have. Where there
is no tracking (refused, a proxy, RESP2 only) everything may have changed, and reads go where all others go.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import structlog
from redis.exceptions import ResponseError

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door.link import ASK_SECONDS, AWAY, Command, Reply, Tracking, why
from bridge.sources.bullmq.door.single import pack

log = structlog.get_logger("bridge.tracked")

RENEW_SECONDS = 45.0
"""A connection's age at most. It bounds what Redis remembers for it, how long a demoted primary misleads us, and how
long we miss what a replica loaded as a whole: it tells of what its primary changes, not of keys in a full copy."""

RETRY_SECONDS = 30.0
REFUSED_SECONDS = 300.0

_PUSH = object()

Ask = Callable[[Sequence[Command]], Awaitable[list[Reply]]]


@dataclass(slots=True)
class Refusal:
    """Shared by what is tracked at one source: whether Redis refused tracking, said once, and till when."""

    source: str
    until: float = 0.0
    is_told: bool = False

    def note(self, reason: str) -> None:
        """Redis refused."""
        self.until = time.monotonic() + REFUSED_SECONDS
        if not self.is_told:
            self.is_told = True
            log.info(
                "tracking_refused",
                source=self.source,
                reason=reason,
                instead="the logs of active jobs are polled",
                mend="allow CLIENT TRACKING and HELLO",
            )


class Tracked:
    """Reads of single keys, each command's first argument. Not for concurrent use.

    ask: reads without tracking.
    """

    def __init__(self, tracking: Tracking, ask: Ask, refusal: Refusal) -> None:
        self._connect = tracking.connect
        self._guard = tracking.guard
        self._untracked = ask
        self._refusal = refusal
        self._connection: Any = None
        self._begun = 0.0
        self._not_before = 0.0
        self._known: set[bytes] = set()

    @property
    def is_on(self) -> bool:
        """Whether Redis tells; else `changed` says so of every key."""
        return self._connection is not None

    async def changed(self, keys: Collection[str]) -> list[str]:
        """Of these keys those that may have changed since they were read; those left out are forgotten."""
        await self._renew()
        try:
            await self._send([("PING",)])  # what was pushed before comes before its reply
        except SourceUnavailable:
            return list(keys)
        names = {key: key.encode() for key in keys}
        self._known.intersection_update(names.values())
        return [key for key, name in names.items() if name not in self._known]

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Send all commands, return their replies in order. Raises SourceUnavailable, and then nothing is known."""
        return await self._send(commands) if self.is_on else await self._untracked(commands)

    async def rest(self) -> None:
        """Nothing is to be read for now: the connection ends when it is old."""
        if self.is_on and time.monotonic() - self._begun >= RENEW_SECONDS:
            await self.close()

    async def close(self) -> None:
        """End it; it may be used again."""
        connection, self._connection = self._connection, None
        self._known.clear()
        if connection is not None:
            with suppress(Exception):
                await connection.disconnect(nowait=True)

    async def _renew(self) -> None:
        """Begin, and begin afresh now and then. Without success all goes on untracked."""
        now = time.monotonic()
        if self.is_on and now - self._begun < RENEW_SECONDS:
            return
        await self.close()
        if now < max(self._not_before, self._refusal.until):
            return
        self._begun = now
        self._connection = connection = self._connect()
        try:
            async with self._guard(ASK_SECONDS):
                refused = await _connect(connection)
            if refused is not None:
                raise refused
            parser = connection._parser
            parser.set_invalidation_push_handler(self._invalidate)
            parser.set_pubsub_push_handler(_ignore)
            (answer,) = await self._send([("CLIENT", "TRACKING", "ON")])
            if isinstance(answer, ResponseError):
                raise answer
            self._known.clear()
        except BaseException as error:
            await self.close()
            if isinstance(error, ResponseError):
                self._refusal.note(str(error))
            elif isinstance(error, (*AWAY, SourceUnavailable)):
                self._not_before = now + RETRY_SECONDS
            else:
                raise

    async def _send(self, commands: Sequence[Command]) -> list[Reply]:
        connection = self._connection
        if connection is None:
            raise SourceUnavailable("tracking is off")
        try:
            async with self._guard(ASK_SECONDS):
                await connection.send_packed_command([pack(commands)], check_health=False)
                return [await self._reply(connection, command) for command in commands]
        except BaseException as error:
            await self.close()
            if isinstance(error, AWAY):
                raise SourceUnavailable(why(error)) from error
            raise

    async def _reply(self, connection: Any, command: Command) -> Reply:
        """One command's reply, after whatever was pushed before it. One read a push: they may be thousands."""
        reply: Any = _PUSH
        try:
            while reply is _PUSH:
                reply = await connection.read_response(disable_decoding=True, push_request=True)
        except ResponseError as refused:
            return refused
        if len(command) > 1:
            self._known.add(str(command[1]).encode())
        return reply

    async def _invalidate(self, message: Sequence[Any]) -> object:
        """A push: these keys have changed, or None = all."""
        keys = cast(Sequence[bytes] | None, message[1])
        if keys is None:
            self._known.clear()
        else:
            self._known.difference_update(keys)
        return _PUSH


async def _connect(connection: Any) -> ResponseError | None:
    """Connect; return what Redis refused, which is no sign that it is ill. Raises what is."""
    try:
        await connection.connect()
    except ResponseError as refused:
        return refused
    return None


async def _ignore(message: object) -> object:
    return _PUSH
