"""Joins the tail with its viewers. Viewers with the same filter share the matching and the encoded rows."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog

from logsvc.cursors import pack_position, unpack_position
from logsvc.live.filter import Filter
from logsvc.live.ring import Entry, Ring
from logsvc.live.viewer import CHUNK_BYTES, CHUNK_ROWS, Chunk, Viewer, chunk_of, gap_before
from logsvc.metrics import Metrics
from logsvc.places import Place
from tocsin.events import BadRecord
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.live")

TICK_SECONDS = 0.05


class Hub:
    """The live stream of this process. `publish` and `watch` are called on the loop; `run` hands rows out each tick."""

    def __init__(self, ring: Ring, metrics: Metrics) -> None:
        self.ring = ring
        self._metrics = metrics
        self.as_of_ms = 0
        """When Kafka last confirmed that there is nothing newer; 0 = not yet."""
        self._cluster = ""
        self._position: dict[Place, int] = {}
        self._fresh: list[Entry] = []
        self._reached: Mapping[Place, int] = {}
        self._viewers: dict[Filter, set[Viewer]] = {}
        self.closing = asyncio.Event()
        """Set when the service stops: every viewer is sent away, to come back elsewhere."""

    @property
    def viewers(self) -> int:
        return sum(map(len, self._viewers.values()))

    @property
    def cursor(self) -> str:
        """Where the tail stands after the last tick."""
        return pack_position(self._cluster, self._position)

    def begin(self, cluster: str, start: Mapping[Place, int]) -> None:
        """The tail (re)starts at these offsets; viewers who are here learn that what came before may be missing."""
        self._hand_out()
        self._cluster = cluster
        self._position = dict(start)
        self.ring.begin(start)
        for viewer in self._everybody():
            viewer.after = {}
            viewer.offer(gap_before(self.cursor))

    def publish(self, entries: Iterable[Entry], reached: Mapping[Place, int]) -> None:
        """Take records in the order they were read, and where the reader stands after them, markers included."""
        self._fresh += entries
        self._reached = reached

    def watch(self, viewer: Viewer, after: str) -> tuple[str, bool]:
        """Add a viewer who has seen everything before the cursor `after` ("" = wants only what is new).

        What it missed waits for it then, behind a gap if the ring has forgotten some of it. Returns the cursor it
        stands at meanwhile, and whether there is no gap. Raises BadRequest for a broken cursor.
        """
        self._hand_out()
        seen = unpack_position(self._cluster, after) if after else None
        cursor, is_whole = self.cursor, True
        if after and (seen is None or not self.ring.holds_all_since(seen.offsets)):
            begins = _further(self.ring.floor, seen.offsets) if seen else self._position
            cursor = pack_position(self._cluster, begins)
            viewer.offer(gap_before(cursor))
            is_whole = False
        elif after:
            cursor = after
        if seen is not None:
            _offer([viewer], self._cut(self.ring.since(seen.offsets), viewer.filter, seen.offsets))
            viewer.after = self._ahead(seen.offsets)
        self._viewers.setdefault(viewer.filter, set()).add(viewer)
        return cursor, is_whole

    def cursor_of(self, viewer: Viewer) -> str:
        """Where a viewer stands who has taken all that waited for it."""
        return pack_position(self._cluster, _further(self._position, viewer.after))

    def refilter(self, viewer: Viewer, wanted: Filter) -> None:
        """Change what a viewer sees, from now on."""
        self._hand_out()
        self.leave(viewer)
        viewer.filter = wanted
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

    def _hand_out(self) -> None:
        entries, self._fresh = self._fresh, []
        before = dict(self._position)
        for entry in entries:
            self.ring.add(entry)
            self._position[entry.place] = entry.offset + 1
        self._position = _further(self._position, self._reached)
        self._reached = {}
        if not entries:
            return
        for wanted, viewers in self._viewers.items():
            self._hand_to([viewer for viewer in viewers if not viewer.after], entries, wanted, before)
            for viewer in [viewer for viewer in viewers if viewer.after]:
                unseen = [entry for entry in entries if entry.offset >= viewer.after.get(entry.place, 0)]
                self._hand_to([viewer], unseen, wanted, _further(before, viewer.after))
                viewer.after = self._ahead(viewer.after)
        for entry in entries:
            entry.forget()

    def _hand_to(
        self, viewers: Sequence[Viewer], entries: Sequence[Entry], wanted: Filter, before: Mapping[Place, int]
    ) -> None:
        if viewers:
            _offer(viewers, self._cut(entries, wanted, before))

    def _cut(self, entries: Iterable[Entry], wanted: Filter, before: Mapping[Place, int]) -> list[Chunk]:
        """What matches, in chunks. Each one's cursor is before what follows it; the last one's, where the tail is."""
        chunks: list[Chunk] = []
        position = dict(before)
        matched: list[Entry] = []
        size = 0
        for entry in entries:
            if self._is_wanted(entry, wanted):
                if matched and (len(matched) == CHUNK_ROWS or size + len(entry.row) > CHUNK_BYTES):
                    chunks.append(chunk_of(matched, pack_position(self._cluster, position)))
                    matched, size = [], 0
                matched.append(entry)
                size += len(entry.row)
            position[entry.place] = entry.offset + 1
        if matched:
            chunks.append(chunk_of(matched, pack_position(self._cluster, _further(self._position, position))))
        return chunks

    def _is_wanted(self, entry: Entry, wanted: Filter) -> bool:
        try:
            return wanted.matches(entry.subject)
        except BadRecord:
            self._metrics.live_unreadable.inc()
            return False

    def _ahead(self, offsets: Mapping[Place, int]) -> dict[Place, int]:
        """Those of the offsets that the tail has not come to yet."""
        return {place: offset for place, offset in offsets.items() if offset > self._position.get(place, offset)}

    def _everybody(self) -> list[Viewer]:
        return [viewer for viewers in self._viewers.values() for viewer in viewers]


def _offer(viewers: Iterable[Viewer], chunks: Sequence[Chunk]) -> None:
    for viewer in viewers:
        for chunk in chunks:
            viewer.offer(chunk)


def _further(one: Mapping[Place, int], other: Mapping[Place, int]) -> dict[Place, int]:
    """The later offset of each place."""
    return {place: max(one.get(place, 0), other.get(place, 0)) for place in {**one, **other}}
