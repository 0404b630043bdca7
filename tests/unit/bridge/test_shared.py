"""One connection that many ask through: who gets what, in which order, and what ends it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import hiredis
import pytest
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import ResponseError

from bridge.sources.bullmq.door import shared
from bridge.sources.bullmq.door.link import Command, Reply
from bridge.sources.bullmq.door.shared import Shared
from tests.eventually import eventually

LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


def parse_error(text: str) -> Exception:
    return ConnectionFailed(text) if text.startswith("LOADING") else ResponseError(text)


class Connected:
    """What redis-py calls a connection, without a server: `says` arrives as if from one."""

    def __init__(self) -> None:
        reader: Any = hiredis.Reader
        self._parser = SimpleNamespace(_reader=reader(notEnoughData=NOT_ENOUGH_DATA, replyError=parse_error))
        self._reader = asyncio.StreamReader()
        self._writer = SimpleNamespace(write=self._write)
        self.packets: list[bytes] = []
        self.is_open = True
        self.heard: list[str] = []
        """Pushes, replies and the end, in the order they were taken."""

    def _write(self, packet: bytes) -> None:
        self.packets.append(packet)

    async def disconnect(self, *, nowait: bool) -> None:
        self.is_open = False

    def says(self, *parts: bytes) -> None:
        self._reader.feed_data(b"".join(parts))

    def reads_from(self, reader: Any) -> None:
        self._reader = reader

    def closes(self) -> None:
        self._reader.feed_eof()

    def on_reply(self, at: int, reply: Reply) -> None:
        self.heard.append(f"{at} {reply!r}")

    def on_push(self, message: Sequence[Any]) -> None:
        self.heard.append(f"push {message[1]}")

    def on_end(self, error: Exception) -> None:
        self.heard.append("end")


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[Connected, Shared]]:
    wire = Connected()
    one = Shared(wire, on_push=wire.on_push, on_end=wire.on_end)
    yield wire, one
    await one.close()
    assert not wire.is_open
    assert wire.heard.count("end") == 1


def push(key: bytes) -> bytes:
    return b">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%s\r\n" % (len(key), key)


def gets(*keys: str) -> list[Command]:
    return [("GET", key) for key in keys]


async def asked(wire: Connected, one: Shared, *keys: str, as_text: bool = False) -> asyncio.Task[list[Reply]]:
    task = asyncio.create_task(one.ask(gets(*keys), on_reply=wire.on_reply, as_text=as_text))
    await asyncio.sleep(0)
    return task


async def test_what_is_asked_at_one_moment_is_one_packet_and_each_has_its_replies() -> None:
    async with connected() as (wire, one):
        first, second = await asked(wire, one, "a"), await asked(wire, one, "b", "c", as_text=True)
        wire.says(b"$1\r\n1\r\n$1\r\n2\r\n-ERR no\r\n")
        assert await first == [b"1"]
        found, refused = await second
        assert found == "2"
        assert isinstance(refused, ResponseError)
        await eventually(lambda: len(wire.packets) == 1, what="a packet")
        assert wire.packets[0].count(b"GET") == 3


async def test_pushes_are_taken_between_the_replies_they_came_between() -> None:
    async with connected() as (wire, one):
        both = await asked(wire, one, "a", "b")
        wire.says(push(b"x"), b"+1\r\n", push(b"a"), b"+2\r\n", push(b"b"))
        await both
        await eventually(lambda: len(wire.heard) == 5, what="everything heard")
        assert wire.heard == ["push [b'x']", "0 b'1'", "push [b'a']", "1 b'2'", "push [b'b']"]


async def test_map_is_told_by_its_pairs() -> None:
    async with connected() as (wire, one):
        found = await asked(wire, one, "a", as_text=True)
        wire.says(b"%1\r\n$1\r\ns\r\n*0\r\n")
        assert await found == [[("s", [])]]


async def test_who_gives_up_takes_no_reply_from_the_others() -> None:
    async with connected() as (wire, one):
        early, other = await asked(wire, one, "a"), await asked(wire, one, "b")
        early.cancel()
        await asyncio.gather(early, return_exceptions=True)
        wire.says(b"+1\r\n+2\r\n")
        assert await other == [b"2"]
        assert wire.heard == ["0 b'2'"], "nobody learned what the first reply told"


@pytest.mark.parametrize("last", [b"", LOADING])
async def test_once_it_has_ended_nobody_waits(last: bytes) -> None:
    async with connected() as (wire, one):
        waiting = await asked(wire, one, "a")
        if last:
            wire.says(last)
        else:
            wire.closes()
        with pytest.raises(ConnectionFailed):
            await waiting
        await eventually(lambda: not wire.is_open, what="closed")
        assert one.has_ended
        with pytest.raises(ConnectionFailed):
            await one.ask(gets("b"), on_reply=wire.on_reply)


async def test_reply_that_nobody_asked_for_ends_it() -> None:
    """Whose the next ones are nobody could say."""
    async with connected() as (wire, one):
        waiting = await asked(wire, one, "a")
        wire.says(b"+1\r\n+2\r\n")
        assert await waiting == [b"1"]
        await eventually(lambda: one.has_ended, what="ended")


class Silences:
    """What is read: silence, the reply to the question that follows, and then silence for ever."""

    def __init__(self, wire: Connected) -> None:
        self._wire = wire
        self._reads = iter((False, True))

    async def read(self, most: int) -> bytes:
        if not next(self._reads, False):
            raise TimeoutError
        await eventually(lambda: bool(self._wire.packets), what="the question")
        return b"+PONG\r\n"


async def test_silent_redis_is_asked_whether_it_is_there_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "QUIET_SECONDS", 1000.0)
    async with connected() as (wire, one):
        wire.reads_from(Silences(wire))
        await eventually(lambda: one.has_ended, what="given up")
        assert b"PING" in wire.packets[0]
