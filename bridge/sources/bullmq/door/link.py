"""What the door asks of a link, whatever kind of Redis is behind it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from tocsin.breakers import Guard, Unavailable

ASK_SECONDS = 10.0

Command = tuple[str | bytes | int, ...]
Reply = Any
"""bytes (str where texts were asked for), int, None, a list of these, or Refused."""

Refused = ResponseError
"""An error reply: Redis understood and said no."""


AWAY = (RedisError, OSError, TimeoutError, Unavailable)
"""What a call raises that a process does not answer, or is not asked."""


def why(error: BaseException) -> str:
    """What the process said, or the breaker of it."""
    told = error.__cause__ if isinstance(error, Unavailable) else None
    return (str(told) if told is not None else "") or str(error) or type(error).__name__


@dataclass(frozen=True, slots=True)
class Tracking:
    """connect: makes a connection outside of any pool that speaks RESP3, not connected yet. guard: holds connecting.

    process: which one the others of the source are connected to, see Link.shard. reached: which one a connection is.
    """

    connect: Callable[[], Any]
    guard: Guard
    process: Callable[[], str]
    reached: Callable[[Any], str]


def is_about_key(refused: ResponseError) -> bool:
    """Whether Redis refused this key (another type, or forbidden) and may well answer for others."""
    return isinstance(refused, NoPermissionError) or str(refused).startswith(("WRONGTYPE", "NOPERM"))


class Link(Protocol):
    """One Redis, or several that are asked as if they were one. Every call may raise SourceUnavailable."""

    @property
    def may_lag(self) -> bool:
        """Whether it reads from replicas."""
        ...

    async def ask(
        self, commands: Sequence[Command], *, timeout: float = ASK_SECONDS, as_text: bool = False
    ) -> list[Reply]:
        """Send commands in one pipeline a process, return their replies in order. MULTI … EXEC stay together.

        as_text: str instead of bytes, with what is no UTF-8 replaced.
        """
        ...

    async def ask_primary(self, commands: Sequence[Command]) -> list[Reply]:
        """The same, from whoever is written to."""
        ...

    async def parts(self) -> Sequence["Link"]:
        """The processes that hold all keys together."""
        ...

    async def primaries(self) -> Sequence["Link"]:
        """The processes that are written to."""
        ...

    def groups(self, keys: Iterable[str]) -> list[list[str]]:
        """Keys that one command may name together."""
        ...

    def shard(self, key: str) -> str:
        """Names what a key shares its fate with, as far as is known: the process that has it."""
        ...

    def blocking(self) -> AbstractAsyncContextManager[bool]:
        """Room for one more command that blocks, or False."""
        ...

    async def agree_to_cluster(self) -> None:
        """It says that it is a node of a cluster: raise SourceUnavailable if others have keys that are not read."""
        ...

    async def look_around(self) -> None:
        """Notice now and then what no reply tells: that somebody else is the primary."""
        ...

    @property
    def tracking(self) -> Tracking | None:
        """What CLIENT TRACKING takes; None where no one connection reads every key."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
