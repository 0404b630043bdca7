"""The door to Telegram against servers that answer oddly: what cannot be read, and what never ends."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from bot.errors import Unanswered
from bot.telegram import Telegram, account, requests
from tests.eventually import eventually
from tests.tcp import listening

ME = {"id": 1, "is_bot": True, "first_name": "b", "username": "b"}
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


@contextlib.asynccontextmanager
async def polled(door: Telegram) -> AsyncGenerator[None]:
    """It polls, and nobody says anything."""
    stop = asyncio.Event()

    async def hear(_ask: object) -> None:
        raise AssertionError("nobody said anything")

    async def moved(_old: int, _new: int) -> None:
        raise AssertionError("no group has moved")

    listening = asyncio.create_task(door.listen(hear, lambda _chat: None, moved, [], stop))
    try:
        yield
    finally:
        stop.set()
        await listening


async def say(writer: asyncio.StreamWriter, status: str, answer: object) -> None:
    body = json.dumps(answer).encode()
    writer.write(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def well(writer: asyncio.StreamWriter, result: object) -> None:
    await say(writer, "200 OK", {"ok": True, "result": result})


async def test_an_answer_that_cannot_be_read_is_no_crash() -> None:
    async def nameless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        mention = {"type": "text_mention", "offset": 0, "length": 1, "user": {"id": 1}}
        message = {"message_id": 7, "date": 0, "chat": {"id": 1, "type": "private"}, "entities": [mention]}
        await well(writer, message)

    async with answering(nameless) as door:
        with pytest.raises(Unanswered, match="cannot be read"):
            await door.send(1, "hello")


async def test_a_poll_that_drips_for_ever_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "SPARE_SECONDS", -account.POLL_SECONDS - requests.CALL_SECONDS + 1.0)
    monkeypatch.setattr(account, "RETRY_SECONDS", 0.1)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if b"/getUpdates" not in asked:
            await well(writer, ME if b"/getMe" in asked else True)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with answering(drip) as door, polled(door):
        await eventually(lambda: "the call took more than" in door.polling.problem, what="the end of the poll")


@pytest.mark.parametrize("refusal", ["401 Unauthorized", "404 Not Found", "409 Conflict"])
async def test_a_poll_that_is_refused_goes_on(refusal: str) -> None:
    """A proxy before a Bot API server of one's own answers so while that starts."""
    refused, begun = list[str](), asyncio.Event()

    async def refuse_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode().rpartition("/")[2]
        if asked in ("deleteWebhook", "getUpdates") and asked not in refused:
            refused.append(asked)
            await say(
                writer,
                refusal,
                {"ok": False, "description": f"{refusal}: can't use getUpdates method while webhook is active"},
            )
            return
        if asked == "getUpdates":
            begun.set()
        await well(writer, ME if asked == "getMe" else [] if asked == "getUpdates" else True)

    async with answering(refuse_once) as door, polled(door):
        await eventually(lambda: refused[-1:] == ["getUpdates"] and bool(door.polling.problem), what="it is said")
        assert refusal.split()[0 if refusal[:3] != "409" else 1] in door.polling.problem
        assert door.polling.conflict_at is None, "no other process polls"
        begun.clear()
        await eventually(begun.is_set, what="another poll")
        await eventually(lambda: not door.polling.problem, what="a poll that is answered")


@pytest.mark.filterwarnings("ignore:Deprecated since version v22.2")  # of retry_after's type; the door takes both
async def test_a_list_of_commands_that_is_not_taken_keeps_nobody_from_being_heard() -> None:
    told = {"retry_after": 1, "first": True}
    begun, published = asyncio.Event(), asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode().rpartition("/")[2]
        if asked == "setMyCommands":
            await begun.wait()  # it polls before that is settled
            if told.pop("first", None):
                wait = {"retry_after": told["retry_after"]}
                await say(writer, "429 Too Many Requests", {"ok": False, "description": "flood", "parameters": wait})
                return
            published.set()
        if asked == "getUpdates":
            begun.set()
        await well(writer, ME if asked == "getMe" else [] if asked == "getUpdates" else True)

    async with answering(flood) as door, polled(door):
        await eventually(begun.is_set, what="the poll")
        await eventually(published.is_set, what="the list, once its time is up")
