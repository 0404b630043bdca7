"""What the WebSocket and the SSE stream have in common: opening a viewer, and the frames it is owed over time."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import parse_qs

import msgspec

from logsvc.cursors import TailPosition
from logsvc.errors import NotReadyYet
from logsvc.live.filter import Filter, parse_filter
from logsvc.live.hub import Hub
from logsvc.live.past import Archive, Past
from logsvc.live.viewer import Frame, Gap, Viewer
from logsvc.metrics import Metrics
from tocsin.lifecycle import pause
from tocsin.times import current_ms, rfc3339

FRAME_SECONDS = 0.05
HIDDEN_SECONDS = 2.0
"""Between two frames for a page that nobody looks at."""
PING_SECONDS = 10.0
SEND_SECONDS = 10.0
"""A viewer that takes nothing for so long is sent away."""
BEGIN_SECONDS = 5.0
"""A service that has just started needs a moment to find its place in Kafka; a cursor means nothing before."""


def parameters(query_string: bytes) -> dict[str, list[str]]:
    """Query parameters and their values."""
    return parse_qs(query_string.decode("latin-1"), max_num_fields=1000)


class Session:
    """One viewer's stay at the hub."""

    def __init__(self, hub: Hub, metrics: Metrics, wanted: Filter, after: str, past: Past | None) -> None:
        self.viewer = Viewer(wanted)
        self.hub = hub
        self._metrics = metrics
        self._past = past
        self._cursor = after or hub.cursor
        hub.present.add(self.viewer)
        if past is None:
            hub.join(self.viewer)

    @classmethod
    async def open(
        cls, hub: Hub, archive: Archive, metrics: Metrics, asked: Mapping[str, list[str]], *, after: str = ""
    ) -> "Session":
        """Begin a stay. Raises BadRequest for a filter or cursor that cannot be read, NotReadyYet at the start."""
        wanted = parse_filter(asked)
        after = after or "".join(asked.get("after", [])[-1:])
        if not after:
            return cls(hub, metrics, wanted, "", None)
        seen = await _position(hub, after)
        return cls(hub, metrics, wanted, after, archive.past(hub, seen))

    async def end(self) -> None:
        """Leave the hub."""
        self.hub.leave(self.viewer)
        self.hub.present.discard(self.viewer)
        if self._past is not None:
            await self._past.close()

    def as_of(self) -> str:
        return rfc3339(self.hub.as_of_ms)

    async def frames(self) -> AsyncGenerator[tuple[str, str]]:
        """Frames to send, each with the cursor it leads to ("" = unchanged), at most 20 a second, until the hub closes.

        The first is `hello`, at the cursor the viewer came with. A `ping` has a cursor where nothing waits, for the
        tail goes forward without a match too.
        """
        at = rfc3339(current_ms())
        yield _json({"type": "hello", "cursor": self._cursor, "as_of": self.as_of(), "at": at}), self._cursor
        while not self.hub.closing.is_set():
            frame = self.viewer.take(current_ms())
            if frame is not None:
                self._count(frame)
                yield frame.encode(), frame.cursor
                await self._rest()
            elif self._past is not None and self.viewer.has_all:
                if not await self._past.offer_more(self.viewer):
                    self._past = None
            elif not await pause(self.viewer.arrived, PING_SECONDS):
                yield self._ping()

    def _count(self, frame: Frame | Gap) -> None:
        self._metrics.rows_sent.inc(len(frame.rows))
        self._metrics.rows_dropped.inc(frame.dropped)

    def _ping(self) -> tuple[str, str]:
        knows_where = self._past is None and self.viewer.has_all
        cursor = self.hub.cursor_of(self.viewer) if knows_where else ""
        return _json({"type": "ping", "as_of": self.as_of(), **({"cursor": cursor} if cursor else {})}), cursor

    async def _rest(self) -> None:
        """Let time pass between two frames; one who comes back into sight need not wait for long.

        Who still gets what was missed does not dawdle though nobody looks: it would never be where the tail is.
        """
        if self.viewer.in_sight.is_set() or self._past is not None:
            await asyncio.sleep(FRAME_SECONDS)
            return
        await pause(self.viewer.in_sight, HIDDEN_SECONDS)


async def _position(hub: Hub, after: str) -> TailPosition | None:
    try:
        async with asyncio.timeout(BEGIN_SECONDS):
            await hub.begun.wait()
    except TimeoutError:
        raise NotReadyYet("the stream has not begun yet") from None
    return hub.position_of(after)


def _json(value: Mapping[str, object]) -> str:
    return msgspec.json.encode(value).decode()
