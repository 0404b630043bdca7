"""The command: read the arguments, serve until Ctrl-C."""

import argparse
import asyncio
import sys

from tocsin.http import serve_http
from tocsin.lifecycle import run_service
from tocsin.logs import set_up_logs
from tocsin.sandbox.refreshes.simulate import Simulator

DEFAULT_PORT = 9082


def main() -> int:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m tocsin.sandbox.refreshes", description="Made-up refresh messages at /ws, with a page at /."
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port on 127.0.0.1 (%(default)s)")
    parser.add_argument("--rate", type=float, default=5.0, help="changes a second, to 1000 (%(default)s)")
    given = parser.parse_args()
    if not 0 < given.rate <= 1000:
        parser.error("--rate: expected a number up to 1000")
    set_up_logs("refreshes", level="info", style="auto")

    async def serve(stop: asyncio.Event) -> None:
        told = f"http://127.0.0.1:{given.port}/  (the messages: ws://127.0.0.1:{given.port}/ws)\n"
        app = Simulator(given.rate, stop)
        await serve_http(app, "127.0.0.1", given.port, stop, drain_seconds=1, listening=lambda: _say(told))

    return run_service("refreshes", serve)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
