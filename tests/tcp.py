"""A TCP server whose connections end with it: asyncio's own leaves them to the garbage collector."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Connections:
    """What a server has accepted, each handled by `serve` in a task of its own, and closed when it returns."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._ended = False

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What asyncio.start_server() calls."""
        if self._ended:  # accepted before its server was closed, and told of after
            writer.transport.abort()
            return
        self._open[asyncio.create_task(self._handle(reader, writer))] = writer

    async def end(self) -> None:
        """Cut them all, also those whose task has not begun: such a task ends without a line of it run."""
        self._ended = True
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        for writer in self._open.values():
            await close(writer)
        self._open.clear()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        finally:
            await close(writer)


@contextlib.asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    """Let `serve` handle each connection on a free port of loopback, over TLS if wished; yields the port."""
    connections = Connections(serve)
    server = await asyncio.start_server(connections.accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await connections.end()


@contextlib.asynccontextmanager
async def tls_before(port: int, certificate: Path) -> AsyncGenerator[int]:
    """TLS in front of a plain port of loopback; yields the port that speaks it. certificate: with its key."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return
        try:
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        finally:
            await close(inner_writer)

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with listening(serve, tls) as secured:
        yield secured


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection; one that does not take what is left within a second is dropped.

    Whoever is cancelled here leaves it to be closed once more: what tells that it is closed is cancelled for nobody.
    """
    writer.close()
    closing = asyncio.ensure_future(writer.wait_closed())
    try:
        await asyncio.wait({closing}, timeout=1)
    finally:
        writer.transport.abort()
        closing.add_done_callback(lambda done: done.cancelled() or done.exception())
