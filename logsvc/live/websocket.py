"""`/api/v1/live` as a WebSocket, spoken as raw ASGI: a framework's wrapper costs three times as much a frame.

A viewer may say `{"type":"filter",…}`, `pause`, `resume`, `hidden` and `visible`; once that counts it hears
`{"type":"done","what":…}`.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

import msgspec
import structlog

from logsvc.errors import BadRequest, NotReadyYet
from logsvc.live.crowd import Crowd, Crowded, address_of
from logsvc.live.filter import parse_filter
from logsvc.live.hub import Hub
from logsvc.live.origin import Gate
from logsvc.live.past import Archive
from logsvc.live.session import SEND_SECONDS, Session, parameters
from logsvc.metrics import Metrics

log = structlog.get_logger("logsvc.live")

GOING_AWAY = 1012
POLICY = 1008
TRY_AGAIN_LATER = 1013
"""Too slow, or no room; come back, perhaps elsewhere."""
MOST_MESSAGE_CHARS = 64 * 1024

Receive = Any
Send = Any


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
            await close(send, TRY_AGAIN_LATER, str(error))
            return
        except (BadRequest, ValueError) as error:
            await refuse(send, str(error))
            return
        try:
            await first_to_end(self._send_frames(session, send), _hear(session, receive, send))
        finally:
            await session.end()

    async def _send_frames(self, session: Session, send: Send) -> None:
        async for frame, _ in session.frames():
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "websocket.send", "text": frame})
            except TimeoutError:
                self._metrics.viewers_cut.inc()
                log.info("viewer_too_slow")
                await close(send, TRY_AGAIN_LATER, "you read too slowly")
                return
        await close(send, GOING_AWAY)


@asynccontextmanager
async def welcome(
    scope: Mapping[str, Any], receive: Receive, send: Send, gate: Gate, crowd: Crowd
) -> AsyncGenerator[bool]:
    """Shake hands with a viewer, who counts among the crowd until the block ends; False = it was sent away."""
    await receive()  # websocket.connect
    if not gate.admits(scope["headers"]):
        await send({"type": "websocket.close", "code": POLICY})
        yield False
        return
    await send({"type": "websocket.accept"})
    with ExitStack() as counted:
        try:
            counted.enter_context(crowd.one_more(address_of(scope)))
        except Crowded as error:
            await close(send, TRY_AGAIN_LATER, str(error))
            yield False
            return
        yield True


async def first_to_end(*sides: Awaitable[None]) -> None:
    """Send and hear until the viewer is gone, too slow, or the service stops. Whichever ends first ends the other."""
    tasks = [asyncio.ensure_future(side) for side in sides]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, OSError):
            raise error


async def next_message(receive: Receive) -> Mapping[str, Any] | None:
    """The next JSON object that a viewer says; None once it is gone. Raises BadRequest for anything else."""
    message: Mapping[str, Any] = await receive()
    if message["type"] == "websocket.disconnect":
        return None
    text = message.get("text") or ""
    if len(text) > MOST_MESSAGE_CHARS:
        raise BadRequest("the message is too long")
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError):
        raise BadRequest("expected a JSON object") from None


async def _hear(session: Session, receive: Receive, send: Send) -> None:
    """Do what the viewer says; return when it is gone or says nonsense."""
    try:
        while (said := await next_message(receive)) is not None:
            _obey(session, said)
            await say(send, {"type": "done", "what": str(said["type"])})
    except BadRequest as error:
        await refuse(send, str(error))


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


async def refuse(send: Send, why: str) -> None:
    """Say what is wrong, and close: it would be wrong the next time too."""
    await say(send, {"type": "error", "detail": why})
    await close(send, POLICY)


async def say(send: Send, what: Mapping[str, Any]) -> None:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(1):
            await send({"type": "websocket.send", "text": msgspec.json.encode(what).decode()})


async def close(send: Send, code: int, reason: str = "") -> None:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(1):
            await send({"type": "websocket.close", "code": code, "reason": reason})
