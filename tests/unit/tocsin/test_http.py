"""Serving inside our own loop: errors are errors, the stop is ours, and open requests have their time."""

import asyncio
import select
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tocsin.http import serve_http

HOST = "127.0.0.1"


async def answer(send: Any, text: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    await answer(send, b"hello")


@asynccontextmanager
async def serving(app: Any, stop: asyncio.Event, *, drain_seconds: float = 5) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve app on a free port; yield a client of it. The stop is the test's to set."""
    port = free_port()
    task = asyncio.create_task(serve_http(app, HOST, port, stop, drain_seconds=drain_seconds))
    try:
        await eventually(lambda: listens(port), what="listening")
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=READY_SECONDS) as client:
            yield client
        async with asyncio.timeout(READY_SECONDS):
            await task
    finally:
        task.cancel()
        await asyncio.wait([task])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


async def test_it_answers_until_the_stop() -> None:
    stop = asyncio.Event()
    async with serving(hello, stop) as client:
        assert (await client.get("/")).text == "hello"
        assert "server" not in (await client.get("/")).headers
        stop.set()
    assert not listens(client.base_url.port or 0)


async def test_an_idle_connection_is_let_go_by_the_client_first() -> None:
    """Else it is closed under a request that is just sent: httpx keeps one for five seconds."""
    stop = asyncio.Event()
    async with serving(hello, stop) as client:
        reader, writer = await asyncio.open_connection(HOST, client.base_url.port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"hello\r\n0\r\n\r\n")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(7):
                    await reader.read(1)  # returns at once if it is closed
        writer.close()
        stop.set()


async def test_a_client_cannot_name_itself_another() -> None:
    stop = asyncio.Event()

    async def who(scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, f"{scope['client'][0]} {scope['scheme']}".encode())

    async with serving(who, stop) as client:
        claim = {"x-forwarded-for": "10.9.8.7", "x-forwarded-proto": "https"}
        assert (await client.get("/", headers=claim)).text == "127.0.0.1 http"
        stop.set()


async def test_a_taken_port_is_an_error_not_an_exit() -> None:
    stop = asyncio.Event()
    async with serving(hello, stop) as client:
        port = client.base_url.port
        assert port
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port} \(is the port taken\?\)"):
            await serve_http(hello, HOST, port, asyncio.Event())
        assert (await client.get("/")).text == "hello"
        stop.set()


async def test_a_request_under_way_is_answered_after_the_stop() -> None:
    stop, asked = asyncio.Event(), asyncio.Event()

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        asked.set()
        await stop.wait()
        await asyncio.sleep(0.05)
        await answer(send, b"whole")

    async with serving(slow, stop) as client:
        asking = asyncio.create_task(client.get("/"))
        await asked.wait()
        stop.set()
        assert (await asking).text == "whole"


async def test_a_request_that_never_ends_does_not_hold_the_stop() -> None:
    stop, asked = asyncio.Event(), asyncio.Event()
    cancelled = asyncio.Event()

    async def endless(_scope: Any, _receive: Any, _send: Any) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(endless, stop, drain_seconds=1) as client:
        asking = asyncio.create_task(client.get("/"))
        await asked.wait()
        stop.set()
        assert (await asking).status_code == 500
    assert cancelled.is_set()


async def test_a_stop_that_was_already_set_ends_it() -> None:
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(READY_SECONDS):
        await serve_http(hello, HOST, free_port(), stop)


async def test_who_cancels_it_frees_the_port() -> None:
    stop = asyncio.Event()
    port = free_port()
    task = asyncio.create_task(serve_http(hello, HOST, port, stop))
    await eventually(lambda: listens(port))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not listens(port)


async def test_a_connection_whose_peer_never_reads_is_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.http.CLOSING_SECONDS", 0.2)

    async def pour(_scope: Any, _receive: Any, send: Any) -> None:
        """Give up on a viewer that takes nothing, as the live stream does."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                while True:
                    await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})

    stop = asyncio.Event()
    async with serving(pour, stop) as client:
        with socket.create_connection((HOST, client.base_url.port or 0)) as silent:
            silent.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            hung_up = select.poll()
            hung_up.register(silent, select.POLLRDHUP)
            await eventually(lambda: bool(hung_up.poll(0)), what="the connection reset")
        stop.set()


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize("frame", [b"", b"\xff\xff"])
async def test_who_sends_to_a_websocket_that_was_closed_for_its_viewers_sake_hears_that_it_is_gone(
    frame: bytes,
) -> None:
    """Because a ping was not answered, or because of a frame that is none."""
    stop = asyncio.Event()
    told: list[Exception] = []

    async def pour(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if frame:
            await receive()
        else:
            send.__self__.keepalive_timeout()  # what uvicorn's timer calls
        try:
            await send({"type": "websocket.send", "text": "more"})
        except Exception as error:  # noqa: BLE001  # which one is the question
            told.append(error)

    async with serving(pour, stop) as client:
        reader, writer = await asyncio.open_connection(HOST, client.base_url.port)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame)
        await eventually(lambda: bool(told), what="the sending over")
        writer.close()
        stop.set()
    assert [isinstance(error, OSError) for error in told] == [True], told
