"""Run one server in the foreground until a signal comes or the process it serves is gone."""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from tocsin.stack.ports import Ports
from tocsin.stack.process import Child, StartFailed, is_alive
from tocsin.stack.server import Server


def foreground(name: str, start: Callable[[Path, Ports, int], Awaitable[Server]]) -> int:
    """The command line `--data DIR [--port N] [--with-pid PID]` of one server.

    Prints `ready ADDRESS` (host:port; for Postgres its URL, password included, since it is of no use without).
    """
    parser = argparse.ArgumentParser(prog=f"python -m tocsin.stack.{name}", description=f"{name}, in the foreground")
    parser.add_argument("--data", type=Path, required=True, help="directory of its data")
    parser.add_argument("--port", type=int, default=0, help="preferred port (default: any)")
    parser.add_argument("--with-pid", type=int, help="end when this process is gone")
    arguments = parser.parse_args()
    data: Path = arguments.data.resolve()

    async def serve() -> int:
        try:
            server = await start(data, Ports(data), arguments.port)
        except StartFailed as error:
            print(f"failed {error}", flush=True)
            return 1
        stop = stop_on_signals()  # before anybody hears that it is ready, and may ask it to stop
        print(f"ready {server.settings.get('DATABASE_URL', server.address)}", flush=True)
        return await run_until_told(server.child, arguments.with_pid, stop)

    return asyncio.run(serve())


def stop_on_signals() -> asyncio.Event:
    """Set on SIGTERM and SIGINT from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def run_until_told(child: Child, owner: int | None, stop: asyncio.Event) -> int:
    """Stop the child in order once stop is set or pid owner is gone: 0. Its own exit: that code, at least 1."""
    while not stop.is_set():
        if child.exit_code() is not None:
            return abs(await child.exited()) or 1
        if owner is not None and not is_alive(owner):
            break
        try:
            async with asyncio.timeout(0.25):
                await stop.wait()
        except TimeoutError:
            continue
    await child.stop()
    return 0
