"""One viewer's side of the stream: its filter, what waits for it, and what it missed. No network here."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from logsvc.live.filter import Filter
from logsvc.live.ring import Entry
from logsvc.partitions import Place
from tocsin.times import rfc3339_or_none

CHUNK_ROWS = 500
CHUNK_BYTES = 128 * 1024
"""A chunk is dropped or sent whole, so it is a small part of what may wait. One row that is larger stands alone."""


@dataclass(frozen=True)
class Limits:
    """What may wait for a viewer, and what one frame holds."""

    most_rows: int
    most_bytes: int
    frame_rows: int
    frame_bytes: int


SEEN = Limits(2_000, 2 * 1024 * 1024, 1_000, 512 * 1024)
HIDDEN = Limits(200, 256 * 1024, 200, 256 * 1024)
"""Of a page that nobody looks at: enough to show that things go on."""


class Chunk:
    """Rows that match one filter, shared by all its viewers. cursor: where the tail stood after them."""

    __slots__ = ("_frame", "cursor", "oldest_ms", "rows", "size")

    def __init__(self, rows: Sequence[bytes], oldest_ms: int, cursor: str) -> None:
        self.rows = rows
        self.size = sum(map(len, rows))
        self.oldest_ms = oldest_ms
        self.cursor = cursor
        self._frame: str | None = None

    def frame(self, now_ms: int) -> str:
        """A frame of this chunk alone, nothing dropped: encoded for the first viewer, shared by the others."""
        if self._frame is None:
            self._frame = _encode(self.rows, self.cursor, 0, max(0, now_ms - self.oldest_ms))
        return self._frame

    def forget(self) -> None:
        """Drop the shared frame; who comes late has it encoded anew."""
        self._frame = None


@dataclass(frozen=True)
class Gap:
    """The place where rows are missing and nobody knows how many. since_ms, until_ms: between when; 0 = not known."""

    cursor: str
    since_ms: int = 0
    until_ms: int = 0
    rows: Sequence[bytes] = ()
    dropped: int = 0

    def encode(self) -> str:
        told = {"type": "gap", "count": None}
        told |= {"from": rfc3339_or_none(self.since_ms), "to": rfc3339_or_none(self.until_ms)}
        return msgspec.json.encode(told).decode()


def chunk_of(entries: Sequence[Entry], cursor: str) -> Chunk:
    return Chunk([entry.row for entry in entries], min(entry.timestamp for entry in entries), cursor)


class Viewer:
    """What waits for one viewer. Bounded: when full, the oldest chunks go and are counted as dropped."""

    def __init__(self, wanted: Filter) -> None:
        self.filter = wanted
        self.after: Mapping[Place, int] = {}
        """Records before these offsets are skipped: the viewer has them from another replica that was further on. Empty
        once this one is as far."""
        self.is_paused = False
        self.arrived = asyncio.Event()
        self.in_sight = asyncio.Event()
        """Whether anybody looks; the viewer says so."""
        self.in_sight.set()
        self._waiting: deque[Chunk | Gap] = deque()
        self._rows = 0
        self._bytes = 0
        self._dropped = 0
        self._lost_gap: Gap | None = None

    @property
    def has_all(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting and self._lost_gap is None

    @property
    def limits(self) -> Limits:
        return SEEN if self.in_sight.is_set() else HIDDEN

    def offer(self, what: Chunk | Gap) -> None:
        """Queue rows, or the place of a gap. Never blocks."""
        self._waiting.append(what)
        if isinstance(what, Chunk):
            self._rows += len(what.rows)
            self._bytes += what.size
            self._drop_what_is_too_much()
        if not self.is_paused:
            self.arrived.set()

    def take(self, now_ms: int) -> "Frame | Gap | None":
        """Remove and return what fits one frame; None if nothing waits or the viewer paused."""
        if self.is_paused or self.has_all:
            self.arrived.clear()
            return None
        if self._lost_gap is not None:
            gap, self._lost_gap = self._lost_gap, None
            return gap
        first = self._pop()
        if isinstance(first, Gap):
            return first
        chunks = [first]
        while self._waiting and isinstance(following := self._waiting[0], Chunk) and self._fit([*chunks, following]):
            self._pop()
            chunks.append(following)
        frame = Frame(chunks, self._dropped, now_ms)
        self._dropped = 0
        return frame

    def pause(self, is_paused: bool) -> None:
        """Hold frames back, or send them again. What does not fit meanwhile is dropped and counted."""
        self.is_paused = is_paused
        if not self.has_all and not is_paused:
            self.arrived.set()

    def hide(self, is_hidden: bool) -> None:
        """Send fewer and smaller frames while nobody looks; what that leaves out is dropped and counted."""
        if is_hidden:
            self.in_sight.clear()
            self._drop_what_is_too_much()
        else:
            self.in_sight.set()

    def _fit(self, chunks: Sequence[Chunk]) -> bool:
        rows, size = sum(len(chunk.rows) for chunk in chunks), sum(chunk.size for chunk in chunks)
        return rows <= self.limits.frame_rows and size <= self.limits.frame_bytes

    def _drop_what_is_too_much(self) -> None:
        most = self.limits
        while len(self._waiting) > 1 and (self._rows > most.most_rows or self._bytes > most.most_bytes):
            gone = self._pop()
            if isinstance(gone, Gap):
                self._lost_gap = gone
            else:
                self._dropped += len(gone.rows)

    def _pop(self) -> Chunk | Gap:
        what = self._waiting.popleft()
        if isinstance(what, Chunk):
            self._rows -= len(what.rows)
            self._bytes -= what.size
        return what


class Frame:
    """Rows to send at once. dropped: rows this viewer missed since the frame before; matched: both together."""

    def __init__(self, chunks: Sequence[Chunk], dropped: int, now_ms: int) -> None:
        self._chunks = chunks
        self._now_ms = now_ms
        self.dropped = dropped
        self.cursor = chunks[-1].cursor
        self.rows: Sequence[bytes] = (
            chunks[0].rows if len(chunks) == 1 else [row for chunk in chunks for row in chunk.rows]
        )

    @property
    def matched(self) -> int:
        return len(self.rows) + self.dropped

    @property
    def lag_ms(self) -> int:
        """Age of the oldest row."""
        return max(0, self._now_ms - min(chunk.oldest_ms for chunk in self._chunks))

    def encode(self) -> str:
        if len(self._chunks) == 1 and not self.dropped:
            return self._chunks[0].frame(self._now_ms)
        return _encode(self.rows, self.cursor, self.dropped, self.lag_ms)


def _encode(rows: Sequence[bytes], cursor: str, dropped: int, lag_ms: int) -> str:
    """As JSON; the rows are JSON already."""
    return (
        b'{"type":"rows","rows":[%s],"cursor":"%s","dropped":%d,"matched":%d,"lag_ms":%d}'
        % (b",".join(rows), cursor.encode(), dropped, len(rows) + dropped, lag_ms)
    ).decode()
