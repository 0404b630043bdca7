"""What stands in for logsvc where only the page is measured: the built page, and its lines in the real frames.

logsvc that stores 5,000 lines/s beside the browser leaves neither of them the cores they need on a small machine; this
takes a few hundredths of one. Every 50 ms, as logsvc sends, each viewer gets as many lines as the rate asks for.

    python -m tests.page_feed PORT RATE
"""

import asyncio
import json
import random
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Any

from logsvc.page import Page, send_answer
from tocsin.http import serve_http
from tocsin.times import rfc3339

TICK_SECONDS = 0.05
MOST_BEHIND_SECONDS = 1.0
"""A viewer that is slower gets what it can take, and what it could not is counted."""
QUEUES = [f"q{n}" for n in range(25)]
MESSAGES = [
    f"charged card of customer {random.randrange(10**6)} in {random.randrange(2_000)} ms, request {uuid.uuid4()}"
    for _ in range(10_000)
]
ANSWERS: dict[str, Any] = {
    "me": {
        "user_id": "local",
        "name": "this machine",
        "role": "admin",
        "can_log_out": False,
        "csrf_token": None,
        "trace_url_template": None,
        "has_bot": False,
    },
    "histogram": {"items": [], "bucket_seconds": 60, "total": 0, "markers": []},
}
EMPTY: dict[str, Any] = {"items": [], "next_cursor": None, "as_of": None}


class Feed:
    """The ASGI app. sent, dropped: lines of all viewers."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._page = Page()
        self.sent = self.dropped = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await (self._feed(send) if scope["path"].endswith("/live") else _subscribe(receive, send))
        elif self._page.owns(scope["path"]):
            answer = self._page.answer(scope["path"], dict(scope["headers"]))
            await send_answer(answer, scope["method"], send)
        else:
            await self._tell(scope["path"], send)

    async def _feed(self, send: Any) -> None:
        await _say(send, {"type": "hello", "cursor": "0", "as_of": rfc3339(int(time.time() * 1000))})
        begun, number, dropped = time.monotonic(), 0, 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            due = int((time.monotonic() - begun) * self._rate)
            if due - number > MOST_BEHIND_SECONDS * self._rate:
                dropped = due - number
                self.dropped += dropped
                number = due
                continue
            frame = {"cursor": str(due), "dropped": dropped, "lag_ms": 20, "rows": lines(range(number, due))}
            await _say(send, {"type": "rows", **frame})
            self.sent += due - number
            number, dropped = due, 0

    async def _tell(self, path: str, send: Any) -> None:
        if path == "/metrics":
            body = f"logsvc_live_rows_sent_total {self.sent}\nlogsvc_live_rows_dropped_total {self.dropped}\n".encode()
        else:
            body = json.dumps(ANSWERS.get(path.rpartition("/")[2], EMPTY)).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def lines(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Lines of some 350 bytes, as logsvc sends them."""
    now = rfc3339(int(time.time() * 1000))
    return [
        {
            "id": f"main:{QUEUES[number % len(QUEUES)]}:{number}:l",
            "ts": now,
            "kind": "log",
            "level": "warn" if number % 50 == 0 else "info",
            "message": MESSAGES[number % len(MESSAGES)],
            "env": "prod",
            "source": "main",
            "queue": QUEUES[number % len(QUEUES)],
            "job_id": str(number),
            "job_name": "charge",
            "added_at": 1_795_000_000_000,
            "attempt": 1,
        }
        for number in numbers
    ]


async def _subscribe(receive: Any, send: Any) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        await _say(send, {"type": "done", "what": "subscribe"})


async def _say(send: Any, what: dict[str, Any]) -> None:
    await send({"type": "websocket.send", "text": json.dumps(what)})


def main() -> None:
    port, rate = (int(each) for each in sys.argv[1:])
    asyncio.run(serve_http(Feed(rate), "127.0.0.1", port, asyncio.Event(), deflate=False))


if __name__ == "__main__":
    main()
