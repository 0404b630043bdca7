"""`/api/v1/live/sse`: the same stream as server-sent events, for networks whose proxies break WebSockets.

A frame is one `data:` line; its cursor, if it leads to one, is the event's id, so a browser that reconnects by itself
sends it back as Last-Event-ID and gets what it missed, or is told that there is a gap.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from logsvc.errors import BadRequest, NotReadyYet
from logsvc.live.asgi import Receive, Send, first_to_end
from logsvc.live.crowd import Crowd, Crowded, address_of
from logsvc.live.hub import Hub
from logsvc.live.origin import Gate
from logsvc.live.past import Archive
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


class LiveEvents:
    """The ASGI endpoint."""

    def __init__(self, hub: Hub, archive: Archive, gate: Gate, crowd: Crowd, metrics: Metrics) -> None:
        self._hub = hub
        self._archive = archive
        self._gate = gate
        self._crowd = crowd
        self._metrics = metrics

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await _answer(send, 405, "only GET")
            return
        if not self._gate.admits(scope["headers"]):
            await _answer(send, 403, "this page may not open the stream")
            return
        try:
            with self._crowd.one_more(address_of(scope)), self._metrics.viewers.labels("sse").track_inprogress():
                await self._stay(scope, receive, send)
        except Crowded as error:
            await _answer(send, 503, str(error))

    async def _stay(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        after = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"last-event-id"), "")
        try:
            asked = parameters(scope["query_string"])
            session = await Session.open(self._hub, self._archive, self._metrics, asked, after=after)
        except NotReadyYet as error:
            await _answer(send, 503, str(error))
            return
        except (BadRequest, ValueError) as error:
            await _answer(send, 400, str(error))
            return
        try:
            await first_to_end(self._send_events(session, send), _gone(receive))
        finally:
            await session.end()

    async def _send_events(self, session: Session, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": RETRY, "more_body": True})
        async for frame, cursor in session.frames():
            mark = f"id: {cursor}\n" if cursor else ""
            body = f"{mark}data: {frame}\n\n".encode()
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
    headers += [(b"retry-after", b"2")] if status == 503 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
