"""`/api/v1/live/sse`: the same stream as server-sent events, for networks whose proxies break WebSockets.

A frame is one `data:` line; its cursor, if it leads to one, is the event's id, so a browser that reconnects by itself
sends it back as Last-Event-ID and gets what it missed, or is told that there is a gap.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from logsvc.errors import BadRequest
from logsvc.live.hub import Hub
from logsvc.live.origin import Gate
from logsvc.live.session import SEND_SECONDS, Session, parameters
from logsvc.metrics import Metrics

log = structlog.get_logger("logsvc.live")

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
RETRY = b"retry: 2000\n\n"

Receive = Any
Send = Any


class LiveEvents:
    """The ASGI endpoint."""

    def __init__(self, hub: Hub, gate: Gate, metrics: Metrics) -> None:
        self._hub = hub
        self._gate = gate
        self._metrics = metrics

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await _answer(send, 405, "only GET")
            return
        if not self._gate.admits(scope["headers"]):
            await _answer(send, 403, "this page may not open the stream")
            return
        after = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"last-event-id"), "")
        try:
            session = Session(self._hub, self._metrics, parameters(scope["query_string"]), after=after)
        except (BadRequest, ValueError) as error:
            await _answer(send, 400, str(error))
            return
        with self._metrics.viewers.labels("sse").track_inprogress():
            try:
                await self._serve(session, receive, send)
            finally:
                session.end()

    async def _serve(self, session: Session, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_events(session, send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled() and (error := sending.exception()) and not isinstance(error, OSError):
            raise error

    async def _send_events(self, session: Session, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": RETRY, "more_body": True})
        async for frame, cursor in session.frames():
            mark = b"id: %s\n" % cursor.encode() if cursor else b""
            body = mark + b"data: " + frame + b"\n\n"
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            except TimeoutError:
                self._metrics.viewers_cut.inc()
                log.info("viewer_too_slow")
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: int, detail: str) -> None:
    body = msgspec.json.encode({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
