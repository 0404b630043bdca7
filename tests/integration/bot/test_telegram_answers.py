"""The door to Telegram against servers that answer oddly: what cannot be read, and what never ends."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from bot import telegram
from bot.errors import Unanswered
from bot.telegram import Telegram
from tests.eventually import eventually
from tests.tcp import listening

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TOKEN = "1:x"


@contextlib.asynccontextmanager
async def answering(answer: Answer) -> AsyncGenerator[Telegram]:
    """A door to a server that answers so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):  # it may go before it asks
            await answer(reader, writer)

    async with listening(serve) as port:
        door = Telegram(TOKEN, f"http://127.0.0.1:{port}", lambda: None)
        try:
            yield door
        finally:
            await door.close()


async def test_an_answer_that_cannot_be_read_is_no_crash() -> None:
    async def nameless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        mention = {"type": "text_mention", "offset": 0, "length": 1, "user": {"id": 1}}
        message = {"message_id": 7, "date": 0, "chat": {"id": 1, "type": "private"}, "entities": [mention]}
        body = json.dumps({"ok": True, "result": message}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async with answering(nameless) as door:
        with pytest.raises(Unanswered, match="cannot be read"):
            await door.send(1, "hello")


async def test_a_poll_that_drips_for_ever_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telegram, "SPARE_SECONDS", -telegram.POLL_SECONDS - telegram.CALL_SECONDS + 1.0)
    monkeypatch.setattr(telegram, "RETRY_SECONDS", 0.1)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if b"/getUpdates" not in asked:
            me = {"id": 1, "is_bot": True, "first_name": "b", "username": "b"}
            body = json.dumps({"ok": True, "result": me if b"/getMe" in asked else True}).encode()
            head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % len(body) + body)
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    stop = asyncio.Event()

    async def hear(_ask: object) -> None:
        raise AssertionError("nobody said anything")

    async def moved(_old: int, _new: int) -> None:
        raise AssertionError("no group has moved")

    async with answering(drip) as door:
        listening = asyncio.create_task(door.listen(hear, lambda _chat: None, moved, [], stop))

        async def gave_up() -> bool:
            return "the call took more than" in door.polling.problem

        await eventually(gave_up, what="the end of the poll")
        stop.set()
        await listening
