"""`/api/v1/live` as a WebSocket.

A viewer may say `{"type":"filter",…}`, `pause`, `resume`, `hidden` and `visible`; once that counts it hears
`{"type":"done","what":…}`.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from logsvc.errors import BadRequest, NotReadyYet
from logsvc.live.asgi import (
    GOING_AWAY,
    POLICY,
    TRY_AGAIN_LATER,
    Parting,
    Receive,
    Send,
    first_to_end,
    messages,
    part,
    say,
    welcome,
)
from logsvc.live.crowd import Crowd
from logsvc.live.filter import parse_filter
from logsvc.live.hub import Hub
from logsvc.live.origin import Gate
from logsvc.live.past import Archive
from logsvc.live.session import SEND_SECONDS, Session, parameters
from logsvc.metrics import Metrics

log = structlog.get_logger("logsvc.live")


class LiveSocket:
    """The ASGI endpoint. Refuses a foreign Origin before the handshake (HTTP 403)."""

    def __init__(self, hub: Hub, archive: Archive, gate: Gate, crowd: Crowd, metrics: Metrics) -> None:
        self._hub = hub
        self._archive = archive
        self._gate = gate
        self._crowd = crowd
        self._metrics = metrics

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        async with welcome(scope, receive, send, self._gate, self._crowd) as is_in:
            if is_in:
                with self._metrics.viewers.labels("websocket").track_inprogress():
                    await self._stay(scope, receive, send)

    async def _stay(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        try:
            asked = parameters(scope["query_string"])
            session = await Session.open(self._hub, self._archive, self._metrics, asked)
        except NotReadyYet as error:
            await part(send, Parting(TRY_AGAIN_LATER, str(error)))
            return
        except (BadRequest, ValueError) as error:
            await part(send, Parting(POLICY, detail=str(error)))
            return
        try:
            parting = await first_to_end(self._send_frames(session, send), _hear(session, receive, send))
        finally:
            await session.end()
        await part(send, parting)

    async def _send_frames(self, session: Session, send: Send) -> Parting:
        async for frame, _ in session.frames():
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "websocket.send", "text": frame})
            except TimeoutError:
                self._metrics.viewers_cut.inc()
                log.info("viewer_too_slow")
                return Parting(TRY_AGAIN_LATER, "you read too slowly")
        return Parting(GOING_AWAY)


async def _hear(session: Session, receive: Receive, send: Send) -> Parting | None:
    """Do what the viewer says; return when it is gone or says nonsense."""
    try:
        async for said in messages(receive):
            _obey(session, said)
            await say(send, {"type": "done", "what": str(said["type"])})
    except BadRequest as error:
        return Parting(POLICY, detail=str(error))
    return None


def _obey(session: Session, said: Mapping[str, Any]) -> None:
    match said.get("type"):
        case "filter":
            session.hub.refilter(session.viewer, parse_filter(said))
        case "pause" | "resume" as what:
            session.viewer.pause(what == "pause")
        case "hidden" | "visible" as what:
            session.viewer.hide(what == "hidden")
        case _:
            raise BadRequest("type: expected filter, pause, resume, hidden or visible")
