"""Serve an ASGI app inside our own event loop, stopped by our own event."""

import asyncio
import socket
import struct
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

CLOSING_SECONDS = 3.0
"""How long a closed connection may take to send what waits. Its peer may never read, and then it never would."""

ASKING_SECONDS = 20.0
"""How long a client may take over a request, from the connection, or from its last answer, to its last byte."""

KEEP_ALIVE_SECONDS = 15
"""How long a connection without a request is kept: longer than by who asks (httpx 5 s; uvicorn by itself as long).

Where both let go at the same time, a request may be sent into a connection that is closed.
"""

_AT_ONCE = struct.pack("ii", 1, 0)  # on, with no time to linger: the kernel drops what it holds too


class _Server(uvicorn.Server):
    """uvicorn re-raises the signals it captures, which would kill a drain half-way: here it captures none."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening
        self._closing: dict[asyncio.Transport, float] = {}
        self._asking: dict[Any, tuple[object, float]] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """uvicorn's heartbeat, ten times a second."""
        if counter % 5 == 0:
            self._abort_what_cannot_close()
            self._abort_what_asks_too_slowly()
        return await super().on_tick(counter)

    def _abort_what_cannot_close(self) -> None:
        now = asyncio.get_running_loop().time()
        open_ones: list[Any] = list(self.server_state.connections)
        transports: list[asyncio.Transport] = [one.transport for one in open_ones if one.transport is not None]
        self._closing = {one: self._closing.get(one, now) for one in transports if one.is_closing()}
        for transport, since in self._closing.items():
            if now - since >= CLOSING_SECONDS:
                with suppress(OSError):
                    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                transport.abort()

    def _abort_what_asks_too_slowly(self) -> None:
        """uvicorn itself would wait for ever for a request's head, or its body, that comes byte by byte."""
        now = asyncio.get_running_loop().time()
        before, self._asking = self._asking, {}
        open_ones: list[Any] = list(self.server_state.connections)
        for one in filter(_is_asking, open_ones):
            answered: object = one.cycle
            was, since = before.get(one, (answered, now))
            if was is answered and now - since >= ASKING_SECONDS:
                one.transport.abort()
            self._asking[one] = (answered, since if was is answered else now)


class _Socket(WebSocketsSansIOProtocol):
    """uvicorn closes by itself a WebSocket whose viewer answers no ping, or sends what is no frame.

    The viewer is gone then; uvicorn alone takes it for an error of the app to send on.
    """

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.disconnected = True

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self.disconnected = True


def _is_asking(connection: Any) -> bool:
    """Whether a request is expected, or has come in part only (uvicorn's protocol on h11)."""
    state = getattr(getattr(connection, "conn", None), "their_state", None)
    return getattr(state, "__name__", "") in ("IDLE", "SEND_BODY")


async def serve_http(
    app: Any,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    drain_seconds: float = 5,
    listening: Callable[[], None] = lambda: None,
    deflate: bool = True,
    most_message_bytes: int = 1024 * 1024,
) -> None:
    """Serve until stop is set, then let open requests end for up to drain_seconds.

    listening: called once the port is ours. Raises OSError if it is taken. deflate: compress WebSockets whose client
    asks for it. most_message_bytes: of one WebSocket message; a larger one closes with 1009.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws=_Socket,
        ws_per_message_deflate=deflate,
        ws_max_size=most_message_bytes,
        server_header=False,
        proxy_headers=False,  # on by default: anyone on this host could name himself any client
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(drain_seconds)),
    )
    server = _Server(config, listening)
    serving = asyncio.create_task(_serve(server), name="uvicorn")
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving


async def _serve(server: _Server) -> None:
    try:
        await server.serve()
    except SystemExit as error:  # uvicorn exits the process when it cannot bind; a supervisor must see an error
        raise OSError(f"cannot listen on {server.config.host}:{server.config.port} (is the port taken?)") from error
