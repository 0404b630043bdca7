"""The bridge's only door to Redis: pipelined commands on raw connections, every wait with a deadline.

Replies come as RESP2 values (bytes, int, None, list), an error reply as `Refused` in its place. What kind of Redis it
is, one process or many, is the link's business.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import cast

import structlog

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door.guards import Guards
from bridge.sources.bullmq.door.link import ASK_SECONDS, Command, Link, Refused, Reply, is_about_key
from bridge.sources.bullmq.door.pools import CLIENT_NAME, pool_of_url
from bridge.sources.bullmq.door.single import Single
from bridge.sources.bullmq.door.together import Together
from bridge.sources.bullmq.door.tracked import Tracked
from bridge.sources.bullmq.door.tracker import Tracker
from tocsin.times import current_ms

__all__ = ["ASK_SECONDS", "Command", "Door", "Link", "Refused", "Reply", "Tracked", "accepted", "is_about_key"]

log = structlog.get_logger("bridge.door")


class Door:
    """One source's Redis, read-only by habit: it sends what it is given. Safe for concurrent use.

    to: a link, or the URL of one Redis.
    """

    def __init__(self, to: str | Link, *, source: str = "", client_name: str = CLIENT_NAME) -> None:
        is_url = isinstance(to, str)
        self._link = Single(pool_of_url(to, client_name=client_name), Guards().of()) if is_url else to
        self._source = source
        self._clock_offset_ms = 0
        self._is_clock_told = False
        self._tracker: Tracker | None = None
        self._refused: set[str] = set()
        self._together: dict[str, Together] = {}

    async def ask(
        self, commands: Sequence[Command], *, timeout: float = ASK_SECONDS, as_text: bool = False
    ) -> list[Reply]:
        """Send all commands, return their replies in order. as_text: with texts in them instead of bytes.

        Raises SourceUnavailable if Redis cannot be reached, is too slow, or refuses the login.
        """
        return await self._link.ask(commands, timeout=timeout, as_text=as_text) if commands else []

    async def ask_together(self, keys: Collection[str], commands: Sequence[Command]) -> list[Reply]:
        """The same, with texts, and with what others ask of that process at the same moment.

        keys: by which the processes are known that have what the commands name; of several it is asked by itself.
        """
        if not commands:
            return []
        if len(shards := {self.shard(key) for key in keys}) != 1:
            return await self.ask(commands, as_text=True)
        (shard,) = shards
        together = self._together.get(shard)
        if together is None:
            together = self._together[shard] = Together(partial(self.ask, as_text=True))
        return await together.ask(commands)

    async def one(self, *command: str | bytes | int, timeout: float = ASK_SECONDS) -> Reply:
        """Send one command; raise SourceUnavailable also when it is refused."""
        return accepted(command, (await self.ask([command], timeout=timeout))[0])

    async def parts(self) -> Sequence[Link]:
        """The processes that hold all keys together. Raises SourceUnavailable."""
        return await self._link.parts()

    async def primaries(self) -> Sequence[Link]:
        """The processes that the app's own workers are connected to. Raises SourceUnavailable."""
        return await self._link.primaries()

    @property
    def may_lag(self) -> bool:
        """Whether what is read may be older than what was read before: it comes from a replica."""
        return self._link.may_lag

    async def ask_primary(self, commands: Sequence[Command]) -> list[Reply]:
        """Ask the primary, though others are read from. Raises SourceUnavailable."""
        return await self._link.ask_primary(commands)

    def groups(self, keys: Iterable[str]) -> list[list[str]]:
        """The keys in groups, each of which one command may name together."""
        return self._link.groups(keys)

    def shard(self, key: str) -> str:
        """What is the same for keys that one process has, as far as is known: those of another may be away alone."""
        return self._link.shard(key)

    def blocking(self) -> AbstractAsyncContextManager[bool]:
        """Hold while a command blocks; False = too many do already, ask without."""
        return self._link.blocking()

    async def read_clock(self) -> int:
        """Read Redis's own clock (ms) by INFO, else by TIME, and remember how far it is from ours.

        Of several processes the one that is behind counts, of those that answer; raises SourceUnavailable if none does.
        Where both are refused ours must do: that is said once.
        """
        await self._link.look_around()
        offsets = await asyncio.gather(*map(_offset_of, await self.parts()))
        away = [offset for offset in offsets if isinstance(offset, SourceUnavailable)]
        if away and len(away) == len(offsets):
            raise away[0]
        known = [offset for offset in offsets if isinstance(offset, int)]
        if known:
            self._clock_offset_ms = min(known)
        elif not self._is_clock_told:
            self._is_clock_told = True
            log.warning("clock_refused", source=self._source, mend="allow INFO or TIME; our own clock is used")
        return self.now_ms()

    def now_ms(self) -> int:
        """Redis's clock as of the last reading, ms."""
        return current_ms() + self._clock_offset_ms

    def tracked(self, news: asyncio.Event) -> Tracked | None:
        """Reads that need not be repeated while nothing changes; None where one connection cannot read every key.

        news: is set when something changed, for one who waits for several of these.
        """
        if self._tracker is None and (tracking := self._link.tracking) is not None:
            self._tracker = Tracker(tracking, self._source)
        return None if self._tracker is None else Tracked(self._tracker, news)

    def say_refused(self, command: str, reply: Refused, *, without: str) -> None:
        """Say once that a command is refused which we can do without, at some cost."""
        if command not in self._refused:
            self._refused.add(command)
            mend = f"allow {command}, see `tocsin doctor`"
            log.warning(
                "command_refused", source=self._source, command=command, error=str(reply), without=without, mend=mend
            )

    def say_any_refused(self, commands: Sequence[Command], replies: Sequence[Reply], *, without: str) -> None:
        """The same of the first of these commands that is refused, if any is."""
        for command, reply in zip(commands, replies, strict=False):
            if isinstance(reply, Refused):
                return self.say_refused(str(command[0]), reply, without=without)

    async def close(self) -> None:
        """Close every connection."""
        if self._tracker is not None:
            await self._tracker.close()
        await self._link.close()


def accepted(command: Command, reply: Reply) -> Reply:
    """The reply, or SourceUnavailable if it is a refusal."""
    if isinstance(reply, Refused):
        raise SourceUnavailable(f"{command[0]!s} was refused: {reply}")
    return reply


async def _offset_of(link: Link) -> int | SourceUnavailable | None:
    """How far its clock is from ours, ms; None if it tells none, the error if it does not answer.

    Taken when it answers: others may answer late, or not at all.
    """
    try:
        now = await _time_at(link)
    except SourceUnavailable as error:
        return error
    return None if now is None else now - current_ms()


async def _time_at(link: Link) -> int | None:
    info = (await link.ask([("INFO", "server")]))[0]
    if isinstance(info, bytes) and b"_mode:cluster" in info:
        await link.agree_to_cluster()
    now = _time_of(info)
    return now if now is not None else _time_of((await link.ask([("TIME",)]))[0])


def _time_of(reply: Reply) -> int | None:
    """The server's time (ms) in INFO's or TIME's reply; None if it was refused, or tells none."""
    if isinstance(reply, list):
        seconds, microseconds = cast(list[bytes], reply)
        return int(seconds) * 1000 + int(microseconds) // 1000
    for line in reply.split(b"\r\n") if isinstance(reply, bytes) else ():
        if line.startswith(b"server_time_usec:"):
            return int(line.partition(b":")[2]) // 1000
    return None
