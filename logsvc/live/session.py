"""What the WebSocket and the SSE stream have in common: opening a viewer, and the frames it is owed over time."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import parse_qs

import msgspec

from logsvc.live.filter import parse_filter
from logsvc.live.hub import Hub
from logsvc.live.viewer import Viewer
from logsvc.metrics import Metrics
from logsvc.times import rfc3339

FRAME_SECONDS = 0.05
PING_SECONDS = 10.0
SEND_SECONDS = 10.0
"""A viewer that takes nothing for so long is sent away."""


def parameters(query_string: bytes) -> dict[str, list[str]]:
    """Query parameters and their values."""
    return parse_qs(query_string.decode("latin-1"), max_num_fields=1000)


class Session:
    """One viewer's stay at the hub."""

    def __init__(self, hub: Hub, metrics: Metrics, asked: Mapping[str, list[str]], *, after: str = "") -> None:
        """Raises BadRequest for a filter or cursor that cannot be read."""
        self.viewer = Viewer(parse_filter(asked))
        self.hub = hub
        self._metrics = metrics
        self._cursor, self._is_whole = hub.watch(self.viewer, after or "".join(asked.get("after", [])[-1:]))

    def end(self) -> None:
        """Leave the hub."""
        self.hub.leave(self.viewer)

    def as_of(self) -> str:
        return rfc3339(self.hub.as_of_ms)

    async def frames(self) -> AsyncGenerator[tuple[bytes, str]]:
        """Frames to send, each with the cursor it leads to ("" = unchanged), at most 20 a second, until the hub closes.

        The first is `hello`. If a gap follows it leads nowhere: who leaves before he heard of the gap hears of it when
        he is back. A `ping` has a cursor where nothing waits, for the tail goes forward without a match too.
        """
        yield (
            _json({"type": "hello", "cursor": self._cursor, "as_of": self.as_of()}),
            self._cursor if self._is_whole else "",
        )
        while not self.hub.closing.is_set():
            frame = self.viewer.take(int(time.time() * 1000))
            if frame is not None:
                self._metrics.rows_sent.inc(len(frame.rows))
                self._metrics.rows_dropped.inc(frame.dropped)
                yield frame.encode(), frame.cursor
                await asyncio.sleep(FRAME_SECONDS)
            elif not await self._something_arrives():
                yield self._ping()

    def _ping(self) -> tuple[bytes, str]:
        cursor = self.hub.cursor_of(self.viewer) if self.viewer.has_all else ""
        return _json({"type": "ping", "as_of": self.as_of(), **({"cursor": cursor} if cursor else {})}), cursor

    async def _something_arrives(self) -> bool:
        """Wait for rows or the end, up to the time a sign of life is due."""
        waits = [asyncio.create_task(self.viewer.arrived.wait()), asyncio.create_task(self.hub.closing.wait())]
        try:
            done, _ = await asyncio.wait(waits, timeout=PING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return bool(done)
        finally:
            for wait in waits:
                wait.cancel()


def _json(value: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(value)
