"""`/ws`: refresh messages over a WebSocket. `{"type":"subscribe","to":[{"type":…,"queueName":…}, …]}` narrows them."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice, product
from typing import Any

import structlog

from logsvc.errors import BadRequest
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
from logsvc.live.origin import Gate
from logsvc.live.refresh_feed import RefreshFeed
from logsvc.live.refreshes import MOST_TERMS, Subscription, parse_terms
from logsvc.live.session import SEND_SECONDS, parameters
from logsvc.metrics import Metrics
from tocsin.refresh import encode_refresh

log = structlog.get_logger("logsvc.live")


class RefreshSocket:
    """The ASGI endpoint. Refuses a foreign Origin before the handshake (HTTP 403)."""

    def __init__(self, feed: RefreshFeed, gate: Gate, crowd: Crowd, metrics: Metrics) -> None:
        self._feed = feed
        self._gate = gate
        self._crowd = crowd
        self._metrics = metrics

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        async with welcome(scope, receive, send, self._gate, self._crowd) as is_in:
            if is_in:
                with self._metrics.viewers.labels("refresh").track_inprogress():
                    try:
                        parting = await self._stay(scope, receive, send)
                    except (BadRequest, ValueError) as error:
                        parting = Parting(POLICY, detail=str(error))
                    await part(send, parting)

    async def _stay(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> Parting | None:
        subscription = Subscription(parse_terms(asked_terms(parameters(scope["query_string"]))))
        arrived = self._feed.listen(subscription)
        try:
            return await first_to_end(self._tell(subscription, arrived, send), _hear(subscription, receive, send))
        finally:
            self._feed.leave(subscription)

    async def _tell(self, subscription: Subscription, arrived: asyncio.Event, send: Send) -> Parting:
        while not self._feed.is_closing:
            await arrived.wait()
            arrived.clear()
            try:
                for refresh in subscription.take():
                    async with asyncio.timeout(SEND_SECONDS):
                        await send({"type": "websocket.send", "text": encode_refresh(refresh)})
                    await asyncio.sleep(0)  # that the viewer is gone is heard in the loop's next turn
            except TimeoutError:
                self._metrics.viewers_cut.inc()
                log.info("viewer_too_slow")
                return Parting(TRY_AGAIN_LATER, "you read too slowly")
        return Parting(GOING_AWAY)


def asked_terms(asked: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Each type with each queue; of too many one more than are taken, by which they are refused."""
    pairs = product(asked.get("type", [""]), asked.get("queueName", [""]))
    return [{"type": kind, "queueName": queue} for kind, queue in islice(pairs, MOST_TERMS + 1)]


async def _hear(subscription: Subscription, receive: Receive, send: Send) -> Parting | None:
    try:
        async for said in messages(receive):
            if said.get("type") != "subscribe":
                raise BadRequest("type: expected subscribe")
            subscription.ask_for(parse_terms(said.get("to")))
            await say(send, {"type": "done", "what": "subscribe"})
    except BadRequest as error:
        return Parting(POLICY, detail=str(error))
    return None
