"""Joins the tail with its viewers. Viewers with the same filter share the matching and the encoded rows."""

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from logsvc.cursors import pack_position, unpack_position
from logsvc.live.filter import Filter
from logsvc.live.ring import Entry, Ring
from logsvc.live.viewer import Chunk, Viewer, chunk_of
from logsvc.metrics import Metrics
from logsvc.places import Place
from tocsin.events import BadRecord
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.live")

TICK_SECONDS = 0.05
REPLAY_ROWS = 500


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
        """The tail (re)starts at these offsets."""
        self._cluster = cluster
        self._position = dict(start)
        self._fresh.clear()
        self.ring.begin(start)

    def publish(self, entries: Iterable[Entry]) -> None:
        """Take records in the order they were read."""
        self._fresh += entries

    def watch(self, viewer: Viewer, after: str) -> bool:
        """Add a viewer who has seen everything before the cursor `after` ("" = wants only what is new).

        Returns whether the stream goes on without a hole. Raises BadRequest for a broken cursor.
        """
        self._hand_out()
        is_whole = True
        if after:
            seen = unpack_position(self._cluster, after)
            is_whole = seen is not None and self.ring.holds_all_since(seen.offsets)
            if seen is not None:
                viewer.after = seen.offsets
                self._replay(viewer)
        self._viewers.setdefault(viewer.filter, set()).add(viewer)
        return is_whole

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
        if not self._fresh:
            return
        entries, self._fresh = self._fresh, []
        for entry in entries:
            self.ring.add(entry)
            self._position[entry.place] = entry.offset + 1
        cursor = self.cursor
        for wanted, viewers in self._viewers.items():
            matched = [entry for entry in entries if self._is_wanted(entry, wanted)]
            if matched:
                _offer(viewers, matched, chunk_of(matched, cursor), cursor)
        for entry in entries:
            entry.forget()

    def _is_wanted(self, entry: Entry, wanted: Filter) -> bool:
        try:
            return wanted.matches(entry.subject)
        except BadRecord:
            self._metrics.live_unreadable.inc()
            return False

    def _replay(self, viewer: Viewer) -> None:
        """Give a returning viewer what it missed, in chunks, so that only the oldest go if it is too much."""
        position = dict(viewer.after)
        matched: list[Entry] = []
        for entry in self.ring.since(viewer.after):
            position[entry.place] = entry.offset + 1
            if self._is_wanted(entry, viewer.filter):
                matched.append(entry)
            if len(matched) == REPLAY_ROWS:
                viewer.offer(chunk_of(matched, pack_position(self._cluster, position)))
                matched = []
        if matched:
            viewer.offer(chunk_of(matched, self.cursor))


def _offer(viewers: Iterable[Viewer], matched: list[Entry], chunk: Chunk, cursor: str) -> None:
    for viewer in viewers:
        if not viewer.after:
            viewer.offer(chunk)
            continue
        new = [entry for entry in matched if entry.offset >= viewer.after.get(entry.place, 0)]
        if new:
            viewer.offer(chunk if len(new) == len(matched) else chunk_of(new, cursor))
