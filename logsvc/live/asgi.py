"""What every stream of viewers says and hears, as raw ASGI: a framework's wrapper costs three times as much a frame."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from logsvc.errors import BadRequest
from logsvc.live.crowd import Crowd, Crowded, address_of
from logsvc.live.origin import Gate

GOING_AWAY = 1012
POLICY = 1008
TRY_AGAIN_LATER = 1013
"""Too slow, or no room; come back, perhaps elsewhere."""
MOST_MESSAGE_CHARS = 64 * 1024
HEAR_SECONDS = 0.05
"""Between two messages of one viewer: what it says is work for the hub, which all have in common."""

Receive = Any
Send = Any


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


@dataclass(frozen=True)
class Parting:
    """How a viewer is sent away. detail: what is wrong, said before; it would be wrong the next time too."""

    code: int
    reason: str = ""
    detail: str = ""


async def first_to_end(*sides: Awaitable[Parting | None]) -> Parting | None:
    """Send and hear until the viewer is gone, too slow, or the service stops. Whichever ends first ends the other.

    Returns how it is to be sent away: only now, for after that nothing may be sent. None = it is gone.
    """
    tasks = [asyncio.ensure_future(side) for side in sides]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    ended = [task for task in tasks if not task.cancelled()]
    for task in ended:
        if (error := task.exception()) and not isinstance(error, OSError):
            raise error
    partings = [task.result() for task in ended if task.exception() is None]
    return next((parting for parting in partings if parting is not None), None)


async def part(send: Send, parting: Parting | None) -> None:
    """Send a viewer away, if it is still there."""
    if parting is None:
        return
    if parting.detail:
        await say(send, {"type": "error", "detail": parting.detail})
    await close(send, parting.code, parting.reason)


async def messages(receive: Receive) -> AsyncGenerator[Mapping[str, Any]]:
    """What a viewer says until it is gone, at most 20 messages a second. Raises BadRequest."""
    while (said := await _next_message(receive)) is not None:
        yield said
        await asyncio.sleep(HEAR_SECONDS)


async def _next_message(receive: Receive) -> Mapping[str, Any] | None:
    """The next JSON object that a viewer says; None once it is gone. Raises BadRequest for anything else."""
    message: Mapping[str, Any] = await receive()
    if message["type"] == "websocket.disconnect":
        return None
    text = message.get("text") or ""
    if len(text) > MOST_MESSAGE_CHARS:
        raise BadRequest("the message is too long")
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise BadRequest("expected a JSON object") from None


async def say(send: Send, what: Mapping[str, Any]) -> None:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(1):
            await send({"type": "websocket.send", "text": msgspec.json.encode(what).decode()})


async def close(send: Send, code: int, reason: str = "") -> None:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(1):
            await send({"type": "websocket.close", "code": code, "reason": reason})
