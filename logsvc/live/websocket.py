"""`/api/v1/live` as a WebSocket, spoken as raw ASGI: a framework's wrapper costs three times as much a frame.

A viewer may say `{"type":"filter",…}`, `pause` and `resume`; once that counts it hears `{"type":"done","what":…}`.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from logsvc.errors import BadRequest
from logsvc.live.filter import parse_filter
from logsvc.live.hub import Hub
from logsvc.live.origin import Gate
from logsvc.live.session import SEND_SECONDS, Session, parameters
from logsvc.metrics import Metrics

log = structlog.get_logger("logsvc.live")

GOING_AWAY = 1012
POLICY = 1008
TOO_SLOW = 1013
MOST_MESSAGE_CHARS = 64 * 1024

Receive = Any
Send = Any


class LiveSocket:
    """The ASGI endpoint. Refuses a foreign Origin before the handshake (HTTP 403)."""

    def __init__(self, hub: Hub, gate: Gate, metrics: Metrics) -> None:
        self._hub = hub
        self._gate = gate
        self._metrics = metrics

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if not self._gate.admits(scope["headers"]):
            await send({"type": "websocket.close", "code": POLICY})
            return
        await send({"type": "websocket.accept"})
        try:
            session = Session(self._hub, self._metrics, parameters(scope["query_string"]))
        except (BadRequest, ValueError) as error:
            await _refuse(send, str(error))
            return
        with self._metrics.viewers.labels("websocket").track_inprogress():
            try:
                await self._serve(session, receive, send)
            finally:
                session.end()

    async def _serve(self, session: Session, receive: Receive, send: Send) -> None:
        """Send until the viewer is gone, too slow, or the service stops. Whichever side ends first ends the other."""
        sending = asyncio.create_task(self._send_frames(session, send))
        hearing = asyncio.create_task(_hear(session, receive, send))
        try:
            await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, hearing):
                task.cancel()
            await asyncio.gather(sending, hearing, return_exceptions=True)
        for task in (sending, hearing):
            if not task.cancelled() and (error := task.exception()) and not isinstance(error, OSError):
                raise error

    async def _send_frames(self, session: Session, send: Send) -> None:
        async for frame, _ in session.frames():
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "websocket.send", "text": frame.decode()})
            except TimeoutError:
                self._metrics.viewers_cut.inc()
                log.info("viewer_too_slow")
                await _close(send, TOO_SLOW)
                return
        await _close(send, GOING_AWAY)


async def _hear(session: Session, receive: Receive, send: Send) -> None:
    """Read what the viewer says; return when it is gone or says nonsense."""
    while True:
        message: Mapping[str, Any] = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text") or ""
        if len(text) > MOST_MESSAGE_CHARS:
            await _refuse(send, "the message is too long")
            return
        try:
            done = _obey(session, text)
        except BadRequest as error:
            await _refuse(send, str(error))
            return
        await _say(send, {"type": "done", "what": done})


def _obey(session: Session, text: str) -> str:
    """Do what a message says; return its type."""
    try:
        said = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError):
        raise BadRequest("expected a JSON object") from None
    match said.get("type"):
        case "filter":
            session.hub.refilter(session.viewer, parse_filter(said))
        case "pause":
            session.viewer.pause(True)
        case "resume":
            session.viewer.pause(False)
        case _:
            raise BadRequest("type: expected filter, pause or resume")
    return str(said["type"])


async def _refuse(send: Send, why: str) -> None:
    await _say(send, {"type": "error", "detail": why})
    await _close(send, POLICY)


async def _say(send: Send, what: Mapping[str, str]) -> None:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(1):
            await send({"type": "websocket.send", "text": msgspec.json.encode(what).decode()})


async def _close(send: Send, code: int) -> None:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(1):
            await send({"type": "websocket.close", "code": code})
