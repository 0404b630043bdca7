"""A service of two parts that ends in the way it is told: `python -m tests.unit.tocsin.service WAY`.

Prints `ready` when it runs, and a word for everything that happens to it afterwards.
"""

import asyncio
import sys
from typing import Any

import httpx

from tocsin.http import serve_http
from tocsin.lifecycle import Part, run_service, supervise
from tocsin.logs import set_up_logs

DRAIN_SECONDS = 20
SHORT_DRAIN_SECONDS = 1.5
"""Where it is waited for in vain."""


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def drains(stop: asyncio.Event) -> None:
    """Take a moment to flush after the stop."""
    try:
        await stop.wait()
        await asyncio.sleep(0.05)
        say("flushed")
    except asyncio.CancelledError:
        say("cancelled")
        raise


async def crashes(stop: asyncio.Event) -> None:
    say("ready")
    await asyncio.sleep(0)
    raise RuntimeError("lost its way")


async def returns_early(stop: asyncio.Event) -> None:
    say("ready")


async def is_late(stop: asyncio.Event) -> None:
    say("ready")
    await stop.wait()
    await asyncio.Event().wait()


async def fails_to_flush(stop: asyncio.Event) -> None:
    say("ready")
    await stop.wait()
    raise OSError("no space left")


async def hangs(stop: asyncio.Event) -> None:
    """Refuse even to be cancelled."""
    say("ready")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            say("refused")


async def waits(stop: asyncio.Event) -> None:
    say("ready")
    await stop.wait()


async def serves(stop: asyncio.Event) -> None:
    """Serve HTTP, and answer one request that takes until after the stop."""
    asked = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        asked.set()
        await stop.wait()
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})

    port = int(sys.argv[2])
    serving = asyncio.create_task(serve_http(app, "127.0.0.1", port, stop, drain_seconds=2))
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=20)) as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/", timeout=10))
        await asked.wait()
        say("ready")
        say((await asking).text)
    await serving


WAYS = {
    "drain": waits,
    "crash": crashes,
    "early": returns_early,
    "late": is_late,
    "flush": fails_to_flush,
    "hang": hangs,
    "serve": serves,
}


async def run(stop: asyncio.Event) -> None:
    way = WAYS[sys.argv[1]]
    parts: dict[str, Part] = {"store": lambda: drains(stop), "other": lambda: way(stop)}
    drain_seconds = SHORT_DRAIN_SECONDS if way in (is_late, hangs) else DRAIN_SECONDS
    late = await supervise(parts, stop, drain_seconds=drain_seconds)
    say(f"late {late}")


if __name__ == "__main__":
    set_up_logs("shop", level="info", style="json")
    raise SystemExit(run_service("shop", run))
