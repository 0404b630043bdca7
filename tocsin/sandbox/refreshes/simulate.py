"""Made-up changes of a made-up shop, and the small server that tells them."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

from tocsin.refresh import Refresh, Touched, encode_refresh, path_of

QUEUES = ("orders", "emails", "reports", "a/b 100%")
SOURCE = "demo"
TYPES = {".html": b"text/html; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}
FILES = {path.name: path for path in Path(__file__).parent.iterdir() if path.suffix in TYPES}
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; connect-src ws: wss:; style-src 'self'"),
]


def made_up(chance: random.Random) -> Refresh:
    """One change."""
    queue = chance.choice(QUEUES)
    job_id = str(chance.randrange(1, 500))
    match chance.randrange(6):
        case 0:
            return Refresh("queue-refresh", Touched(id=path_of(SOURCE, queue), queue_name=queue))
        case 1:
            touched = Touched(id=path_of(SOURCE, queue, "nightly"), queue_name=queue, scheduler_key="nightly")
            return Refresh("job-scheduler-refresh", touched)
        case 2:
            return Refresh("log-refresh", Touched(path_of(SOURCE, queue, job_id), queue, job_id))
        case _:
            return Refresh("job-refresh", Touched(path_of(SOURCE, queue, job_id), queue, job_id))


class Simulator:
    """The ASGI app: `/ws`, and the page at `/`. Every viewer is told all of `rate` changes a second."""

    def __init__(self, rate: float, stop: asyncio.Event) -> None:
        self._rate = rate
        self._stop = stop

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._tell(receive, send)
        elif scope["type"] == "http":
            await _serve(scope["path"], send)

    async def _tell(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        telling = asyncio.create_task(self._make_up(send))
        try:
            while (said := await receive())["type"] != "websocket.disconnect":
                if "subscribe" in (said.get("text") or ""):  # who asks for less still gets all: it must cope with it
                    await send({"type": "websocket.send", "text": json.dumps({"type": "done", "what": "subscribe"})})
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _make_up(self, send: Any) -> None:
        chance = random.Random()
        while not self._stop.is_set():
            await send({"type": "websocket.send", "text": encode_refresh(made_up(chance))})
            await asyncio.sleep(1 / self._rate)


async def _serve(path: str, send: Any) -> None:
    file = FILES.get(path.strip("/") or "page.html")
    headers = [*HEADERS, (b"content-type", TYPES[file.suffix] if file else b"text/plain")]
    body = file.read_bytes() if file else b"not here"
    await send({"type": "http.response.start", "status": 200 if file else 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
