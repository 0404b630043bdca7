"""One viewer's side of the stream: its filter, what waits for it, and what it missed. No network here."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from logsvc.live.filter import Filter
from logsvc.live.ring import Entry
from logsvc.places import Place

MOST_ROWS = 2_000
MOST_BYTES = 4 * 1024 * 1024
FRAME_ROWS = 1_000
FRAME_BYTES = 512 * 1024
CHUNK_ROWS = 500
CHUNK_BYTES = 128 * 1024
"""A chunk is dropped or sent whole, so it is a small part of what may wait. One row that is larger stands alone."""


@dataclass(frozen=True)
class Chunk:
    """Rows that match one filter, shared by all its viewers. cursor: where the tail stood after them.

    is_gap: no rows, but the place where some are missing and nobody knows how many.
    """

    rows: Sequence[bytes]
    size: int
    oldest_ms: int
    cursor: str
    is_gap: bool = False


def chunk_of(entries: Sequence[Entry], cursor: str) -> Chunk:
    rows = [entry.row for entry in entries]
    return Chunk(rows, sum(map(len, rows)), min(entry.timestamp for entry in entries), cursor)


def gap_before(cursor: str) -> Chunk:
    return Chunk((), 0, 0, cursor, is_gap=True)


class Viewer:
    """What waits for one viewer. Bounded: when full, the oldest chunks go and are counted as dropped."""

    def __init__(self, wanted: Filter) -> None:
        self.filter = wanted
        self.after: Mapping[Place, int] = {}
        """Records before these offsets are skipped: the viewer has them from another replica that was further on. Empty
        once this one is as far."""
        self.is_paused = False
        self.arrived = asyncio.Event()
        self._waiting: deque[Chunk] = deque()
        self._rows = 0
        self._bytes = 0
        self._dropped = 0
        self._lost_gap: Chunk | None = None

    @property
    def has_all(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting and self._lost_gap is None

    def offer(self, chunk: Chunk) -> None:
        """Queue a chunk. Never blocks."""
        self._waiting.append(chunk)
        self._rows += len(chunk.rows)
        self._bytes += chunk.size
        while len(self._waiting) > 1 and (self._rows > MOST_ROWS or self._bytes > MOST_BYTES):
            self._drop(self._pop())
        if not self.is_paused:
            self.arrived.set()

    def take(self, now_ms: int) -> "Frame | Gap | None":
        """Remove and return what fits one frame; None if nothing waits or the viewer paused."""
        if self.is_paused or self.has_all:
            self.arrived.clear()
            return None
        if self._lost_gap is not None:
            gap, self._lost_gap = self._lost_gap, None
            return Gap(gap.cursor)
        if self._waiting[0].is_gap:
            return Gap(self._pop().cursor)
        chunks = [self._pop()]
        while self._waiting and not self._waiting[0].is_gap and _fit_one_frame([*chunks, self._waiting[0]]):
            chunks.append(self._pop())
        rows = [row for chunk in chunks for row in chunk.rows]
        oldest = min(now_ms, *(chunk.oldest_ms for chunk in chunks))
        frame = Frame(rows, chunks[-1].cursor, self._dropped, len(rows) + self._dropped, now_ms - oldest)
        self._dropped = 0
        return frame

    def pause(self, is_paused: bool) -> None:
        """Hold frames back, or send them again. What does not fit meanwhile is dropped and counted."""
        self.is_paused = is_paused
        if not self.has_all and not is_paused:
            self.arrived.set()

    def _pop(self) -> Chunk:
        chunk = self._waiting.popleft()
        self._rows -= len(chunk.rows)
        self._bytes -= chunk.size
        return chunk

    def _drop(self, chunk: Chunk) -> None:
        self._dropped += len(chunk.rows)
        if chunk.is_gap:
            self._lost_gap = chunk


def _fit_one_frame(chunks: Sequence[Chunk]) -> bool:
    rows, size = sum(len(chunk.rows) for chunk in chunks), sum(chunk.size for chunk in chunks)
    return rows <= FRAME_ROWS and size <= FRAME_BYTES


@dataclass(frozen=True)
class Gap:
    """Tells a viewer that rows are missing here, nobody knows how many."""

    cursor: str
    rows: Sequence[bytes] = ()
    dropped: int = 0

    def encode(self) -> bytes:
        return b'{"type":"gap","count":null}'


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
