"""Serve an ASGI app inside our own event loop, stopped by our own event."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    """uvicorn re-raises the signals it captures, which would kill a drain half-way: here it captures none."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve_http(app: Any, host: str, port: int, stop: asyncio.Event, *, drain_seconds: float = 5) -> None:
    """Serve until stop is set, then let open requests end for up to drain_seconds.

    Raises OSError if the port is taken.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        server_header=False,
        proxy_headers=False,  # on by default: anyone on this host could name himself any client
        timeout_graceful_shutdown=max(1, int(drain_seconds)),
    )
    server = _Server(config)
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
