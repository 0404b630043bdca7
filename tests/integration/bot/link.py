"""A TCP link that can be cut: what stands between the bot and a server when the server is to fail."""

import asyncio
from typing import Literal

from tests.tcp import Connections, close

State = Literal["open", "refusing", "silent", "dripping"]
WAYS: tuple[State, ...] = ("refusing", "silent", "dripping")
"""How a server dies: nobody listens; it accepts and never answers; one byte a second."""


class Link:
    """Listens on loopback and forwards to a server.

    refusing: nobody listens. silent: accepts and never answers. dripping: answers one byte a second.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._connections = Connections(self._serve)
        self.state: State = "open"
        self._speaking = asyncio.Event()
        self._speaking.set()
        self.port = 0

    async def start(self) -> None:
        self._connections = Connections(self._serve)
        self._server = await asyncio.start_server(self._connections.accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def set(self, state: State) -> None:
        """Change state; what is connected now is cut, or falls silent."""
        was, self.state = self.state, state
        (self._speaking.clear if state == "silent" else self._speaking.set)()
        if state == "refusing":
            await self.stop()
        elif was == "refusing":
            await self.start()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._connections.end()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.state == "silent":
                await reader.read(-1)
                return
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, far_writer))
                    group.create_task(self._pump(far_reader, writer, drips=True))
            finally:
                await close(far_writer)
        except* (OSError, asyncio.IncompleteReadError):
            pass

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, drips: bool = False) -> None:
        while chunk := await reader.read(65536):
            await self._speaking.wait()
            if drips and self.state == "dripping":
                for byte in chunk:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
                continue
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
