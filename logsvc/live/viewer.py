"""One viewer's side of the stream: its filter, what waits for it, and what it missed. No network here."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from logsvc.live.filter import Filter
from logsvc.live.ring import Entry
from logsvc.places import Place

MOST_ROWS = 2_000
MOST_BYTES = 1024 * 1024
FRAME_ROWS = 1_000


@dataclass(frozen=True)
class Chunk:
    """Rows of one tick that match one filter, shared by all its viewers. cursor: where the tail stood after them."""

    rows: Sequence[bytes]
    size: int
    oldest_ms: int
    cursor: str


def chunk_of(entries: Sequence[Entry], cursor: str) -> Chunk:
    rows = [entry.row for entry in entries]
    return Chunk(rows, sum(map(len, rows)), min(entry.timestamp for entry in entries), cursor)


class Viewer:
    """What waits for one viewer. Bounded: when full, the oldest chunks go and are counted as dropped."""

    def __init__(self, wanted: Filter) -> None:
        self.filter = wanted
        self.after: Mapping[Place, int] = {}
        """Records before these offsets are skipped: the viewer has them from another replica that was further on."""
        self.is_paused = False
        self.arrived = asyncio.Event()
        self._waiting: deque[Chunk] = deque()
        self._rows = 0
        self._bytes = 0
        self._dropped = 0

    def offer(self, chunk: Chunk) -> None:
        """Queue a chunk. Never blocks."""
        self._waiting.append(chunk)
        self._rows += len(chunk.rows)
        self._bytes += chunk.size
        while len(self._waiting) > 1 and (self._rows > MOST_ROWS or self._bytes > MOST_BYTES):
            self._drop(self._waiting.popleft())
        if not self.is_paused:
            self.arrived.set()

    def take(self, now_ms: int) -> "Frame | None":
        """Remove and return what fits one frame; None if nothing waits or the viewer paused."""
        if self.is_paused or not self._waiting:
            self.arrived.clear()
            return None
        rows: list[bytes] = []
        oldest = now_ms
        cursor = ""
        while self._waiting and (not rows or len(rows) + len(self._waiting[0].rows) <= FRAME_ROWS):
            chunk = self._waiting.popleft()
            self._rows -= len(chunk.rows)
            self._bytes -= chunk.size
            rows += chunk.rows
            oldest = min(oldest, chunk.oldest_ms)
            cursor = chunk.cursor
        if not self._waiting:
            self.arrived.clear()
        frame = Frame(rows, cursor, self._dropped, len(rows) + self._dropped, max(0, now_ms - oldest))
        self._dropped = 0
        return frame

    def pause(self, is_paused: bool) -> None:
        """Hold frames back, or send them again. What does not fit meanwhile is dropped and counted."""
        self.is_paused = is_paused
        if self._waiting and not is_paused:
            self.arrived.set()

    def _drop(self, chunk: Chunk) -> None:
        self._rows -= len(chunk.rows)
        self._bytes -= chunk.size
        self._dropped += len(chunk.rows)


@dataclass(frozen=True)
class Frame:
    """Rows to send at once. dropped: rows this viewer missed since the frame before; matched: both together."""

    rows: Sequence[bytes]
    cursor: str
    dropped: int
    matched: int
    lag_ms: int

    def encode(self) -> bytes:
        """As JSON; the rows are JSON already."""
        return b'{"type":"rows","rows":[%s],"cursor":"%s","dropped":%d,"matched":%d,"lag_ms":%d}' % (
            b",".join(self.rows),
            self.cursor.encode(),
            self.dropped,
            self.matched,
            self.lag_ms,
        )
