"""Joins the tail with its viewers. Viewers with the same filter share the matching and the encoded rows."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog

from logsvc.cursors import TailPosition, pack_position, unpack_position
from logsvc.live.filter import Filter
from logsvc.live.ring import Entry, Ring
from logsvc.live.sieve import Sieve
from logsvc.live.viewer import CHUNK_BYTES, CHUNK_ROWS, Chunk, Gap, Viewer, chunk_of
from logsvc.metrics import Metrics
from logsvc.partitions import Place
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.live")

TICK_SECONDS = 0.05
SKEW_MS = 60_000
"""How far the clocks of two replicas may be apart."""


class Hub:
    """The live stream of this process. `publish` and `join` are called on the loop; `run` hands rows out each tick."""

    def __init__(self, ring: Ring, metrics: Metrics) -> None:
        self.ring = ring
        self._metrics = metrics
        self.as_of_ms = 0
        """When Kafka last confirmed that there is nothing newer; 0 = not yet."""
        self._cluster = ""
        self._position: dict[Place, int] = {}
        self._cursor = ""
        self._fresh: list[Entry] = []
        self._reached: Mapping[Place, int] = {}
        self._viewers: dict[Filter, set[Viewer]] = {}
        self._handed: list[Chunk] = []
        self.present: set[Viewer] = set()
        """Everybody who is here, those who are still catching up too."""
        self.listeners: list[Callable[[Sequence[Entry]], None]] = []
        """Called with all that is new, before it is handed out."""
        self.begun = asyncio.Event()
        """Set once the tail has found its place in Kafka: before, nobody can say what a cursor leads to."""
        self.closing = asyncio.Event()
        """Set when the service stops: every viewer is sent away, to come back elsewhere."""

    @property
    def viewers(self) -> int:
        return len(self.present)

    @property
    def cursor(self) -> str:
        """Where the tail stands after the last tick."""
        if not self._cursor:
            self._cursor = self._pack(self._position)
        return self._cursor

    def begin(self, cluster: str, start: Mapping[Place, int]) -> None:
        """The tail (re)starts at these offsets; viewers who are here learn that what came before may be missing."""
        self._hand_out()
        since_ms = self.as_of_ms
        self._cluster = cluster
        self._position, self._cursor = dict(start), ""
        self.ring.begin(start)
        for viewer in self._everybody():
            viewer.after = {}
            viewer.offer(Gap(self.cursor, since_ms))
        self.begun.set()

    def publish(self, entries: Iterable[Entry], reached: Mapping[Place, int]) -> None:
        """Take records in the order they were read, and where the reader stands after them, markers included."""
        self._fresh += entries
        self._reached = reached

    def position_of(self, cursor: str) -> TailPosition | None:
        """What a cursor says; None if it is from another Kafka cluster, or from before a topic was made anew.

        One that is further than we are is from a replica that was ahead of us, unless we have read on since then and
        still are not there. Raises BadRequest if it is none at all.
        """
        self._hand_out()
        seen = unpack_position(self._cluster, cursor)
        if seen is not None and self._ahead(seen.offsets) and self.as_of_ms > seen.at_ms + SKEW_MS:
            return None
        return seen

    def holds(self, position: TailPosition) -> bool:
        """Whether everything since then is in memory, what has just arrived counted: it may take the place of that."""
        self._hand_out()
        return self.ring.holds_all_since(position.offsets)

    def since(self, position: TailPosition) -> Iterator[Entry]:
        """What is in memory since then, oldest first."""
        self._hand_out()
        return self.ring.since(position.offsets)

    def join(self, viewer: Viewer, seen: TailPosition | None = None) -> None:
        """Add a viewer to those who get what is new.

        seen: it has everything before that, and gets what the ring holds since. None: nothing of the past.
        """
        self._hand_out()
        if seen is not None:
            entries = list(self.since(seen))
            for chunk in self.cut(Sieve(entries), viewer.filter, seen.offsets):
                viewer.offer(chunk)
            for entry in entries:
                entry.forget()
            viewer.after = self._ahead(seen.offsets)
        self._viewers.setdefault(viewer.filter, set()).add(viewer)

    def skip(self, viewer: Viewer, seen: TailPosition | None) -> TailPosition:
        """Tell a viewer of a gap from where it stood up to what the ring holds; returns where it stands then."""
        self._hand_out()
        offsets = further(self.ring.floor, seen.offsets if seen else {})
        since_ms = seen.at_ms if seen else 0
        viewer.offer(Gap(self._pack(offsets), since_ms, self.ring.oldest_ms or self.as_of_ms))
        return TailPosition(offsets, since_ms)

    def cut(self, sieve: Sieve, wanted: Filter, before: Mapping[Place, int], *, is_last: bool = True) -> list[Chunk]:
        """What matches, in chunks. Each one's cursor is before what follows it; the last one's, where the tail is.

        is_last=False: of entries that are not the tail's newest.
        """
        chunks: list[Chunk] = []
        position = dict(before)
        matched: list[Entry] = []
        size = 0
        for entry in sieve.wanted(wanted):
            if matched and (len(matched) == CHUNK_ROWS or size + len(entry.row) > CHUNK_BYTES):
                chunks.append(chunk_of(matched, self._pack(position)))
                matched, size = [], 0
            matched.append(entry)
            size += len(entry.row)
            position[entry.place] = entry.offset + 1
        if matched:
            chunks.append(chunk_of(matched, self._ends_at(position) if is_last else self._pack(position)))
        self._metrics.live_unreadable.inc(sieve.unreadable)
        sieve.unreadable = 0
        return chunks

    def cursor_of(self, viewer: Viewer) -> str:
        """Where a viewer stands who has taken all that waited for it."""
        return self._ends_at(viewer.after)

    def refilter(self, viewer: Viewer, wanted: Filter) -> None:
        """Change what a viewer sees, from now on."""
        self._hand_out()
        has_joined = viewer in self._viewers.get(viewer.filter, ())
        self.leave(viewer)
        viewer.filter = wanted
        if has_joined:
            self._viewers.setdefault(wanted, set()).add(viewer)

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer. One that is not known is fine."""
        group = self._viewers.get(viewer.filter, set())
        group.discard(viewer)
        if not group:
            self._viewers.pop(viewer.filter, None)

    async def run(self, stop: asyncio.Event) -> None:
        """Hand out what arrived, 20 times a second, until stop is set; then send the viewers away."""
        while not await pause(stop, TICK_SECONDS):
            self._hand_out()
        self.closing.set()
        for viewer in self.present:
            viewer.arrived.set()

    def _hand_out(self) -> None:
        entries, self._fresh = self._fresh, []
        before = dict(self._position)
        for entry in entries:
            self.ring.add(entry)
            self._position[entry.place] = entry.offset + 1
        if entries or self._reached:
            self._position, self._cursor = further(self._position, self._reached), ""
        self._reached = {}
        if not entries:
            return
        for chunk in self._handed:
            chunk.forget()
        self._handed = []
        for listener in self.listeners:
            listener(entries)
        sieve = Sieve(entries)
        for wanted, viewers in self._viewers.items():
            self._hand_to([viewer for viewer in viewers if not viewer.after], sieve, wanted, before)
            for viewer in [viewer for viewer in viewers if viewer.after]:
                unseen = [entry for entry in entries if entry.offset >= viewer.after.get(entry.place, 0)]
                self._hand_to([viewer], Sieve(unseen), wanted, further(before, viewer.after))
                viewer.after = self._ahead(viewer.after)
        for entry in entries:
            entry.forget()

    def _hand_to(self, viewers: Sequence[Viewer], sieve: Sieve, wanted: Filter, before: Mapping[Place, int]) -> None:
        if not viewers:
            return
        chunks = self.cut(sieve, wanted, before)
        self._handed += chunks
        for viewer in viewers:
            for chunk in chunks:
                viewer.offer(chunk)

    def _ends_at(self, position: Mapping[Place, int]) -> str:
        """The cursor of the tail's place, or of this one where it is further."""
        if all(offset <= self._position.get(place, 0) for place, offset in position.items()):
            return self.cursor
        return self._pack(further(self._position, position))

    def _pack(self, position: Mapping[Place, int]) -> str:
        return pack_position(self._cluster, position, self.as_of_ms)

    def _ahead(self, offsets: Mapping[Place, int]) -> dict[Place, int]:
        """Those of the offsets that the tail has not come to yet."""
        return {place: offset for place, offset in offsets.items() if offset > self._position.get(place, offset)}

    def _everybody(self) -> list[Viewer]:
        return [viewer for viewers in self._viewers.values() for viewer in viewers]


def further(one: Mapping[Place, int], other: Mapping[Place, int]) -> dict[Place, int]:
    """The later offset of each place."""
    return {place: max(one.get(place, 0), other.get(place, 0)) for place in {**one, **other}}
