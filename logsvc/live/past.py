"""What a viewer missed while it was away: read again slice by slice, until it can join the tail.

Most of it is in the ring. What the ring has forgotten, or never had because this replica is new, is read from Kafka;
how much, how long and by how many at once is bounded. Beyond that the viewer hears of a gap and between when it is: the
history has those rows.
"""

import asyncio
import heapq
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

import structlog

from logsvc.cursors import TailPosition
from logsvc.errors import KafkaDown
from logsvc.ingest.batch import Record
from logsvc.kafka import Replay
from logsvc.live.hub import Hub, further
from logsvc.live.ring import Entry, entries_of
from logsvc.live.sieve import Sieve
from logsvc.live.viewer import Limits, Viewer
from logsvc.partitions import Place
from logsvc.settings import LogsvcSettings

log = structlog.get_logger("logsvc.live")

SLICE_ROWS = 500
AT_ONCE = 4
"""Viewers that read from Kafka at the same time; the others wait their turn."""
TURN_SECONDS = 20.0
READ_SECONDS = 20.0
"""How long a turn lasts at most."""
HOLD_SECONDS = 1.0
"""A viewer that has not taken its slice by then (it is paused, hidden or slow) takes another turn for the next one."""


class Archive:
    """Where what the ring has forgotten is read from."""

    def __init__(self, settings: LogsvcSettings) -> None:
        self.settings = settings
        self.turns = asyncio.Semaphore(AT_ONCE)

    def past(self, hub: Hub, seen: TailPosition | None) -> "Past":
        return Past(self, hub, seen)


class Past:
    """One viewer's way from where it stood to the tail. seen None: it stood where nobody can go back to."""

    def __init__(self, archive: Archive, hub: Hub, seen: TailPosition | None) -> None:
        self._archive = archive
        self._hub = hub
        self._seen = seen
        self._replay: Replay | None = None
        self._until = 0.0
        self._read: list[Entry] = []
        """From Kafka, and not offered yet."""
        self._reached: Mapping[Place, int] = {}
        """Where Kafka was read to, once all of those are offered."""
        self._let_go_later: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def offer_more(self, viewer: Viewer) -> bool:
        """Queue the next slice for a viewer that has taken all; False once it has joined the tail."""
        self._hold()
        try:
            return await self._offer_next(viewer)
        finally:
            if self._replay is not None:
                self._let_go_later = asyncio.get_running_loop().call_later(HOLD_SECONDS, self._let_go)

    async def close(self) -> None:
        """Let go of Kafka."""
        self._hold()
        self._let_go()
        await self._closed()

    async def _closed(self) -> None:
        """Wait for the client's end. Who is cancelled here, its viewer being gone, does not keep it from ending."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def _hold(self) -> None:
        if self._let_go_later is not None:
            self._let_go_later.cancel()

    def _let_go(self) -> None:
        """Give the turn to another, at once; the client takes its time."""
        replay, self._replay = self._replay, None
        self._read = []
        if replay is not None:
            self._archive.turns.release()
            self._closing = asyncio.create_task(replay.close())

    async def _offer_next(self, viewer: Viewer) -> bool:
        if self._seen is None:
            self._seen = self._hub.skip(viewer, None)
            return True
        await asyncio.sleep(0)  # others have their turn
        if self._hub.holds(self._seen):
            is_on_the_way = self._offer_from_ring(viewer, self._seen)
            await self.close()
            return is_on_the_way
        try:
            self._seen = await self._offer_from_kafka(viewer, self._seen)
        except (KafkaDown, TimeoutError) as error:
            await self.close()
            log.info("viewer_has_a_gap", reason=str(error) or "it took too long to read it again")
            self._seen = self._hub.skip(viewer, self._seen)
        return True

    def _offer_from_ring(self, viewer: Viewer, seen: TailPosition) -> bool:
        """False once it has joined. Without a pause since the ring was seen to hold it, which may forget in any."""
        entries, has_more = _slice(self._hub.since(seen), viewer.limits)
        if not has_more:
            self._hub.join(viewer, seen)
            return False
        self._seen = self._offer(viewer, entries, seen, {})
        return True

    async def _offer_from_kafka(self, viewer: Viewer, seen: TailPosition) -> TailPosition:
        """Raises KafkaDown or TimeoutError where it cannot go on."""
        if self._replay is None:
            self._replay = await self._begin(seen)
            self._until = asyncio.get_running_loop().time() + READ_SECONDS
        if not self._read:
            async with asyncio.timeout_at(self._until):
                self._read = self._in_order(await self._replay.poll())
                self._reached = await self._replay.positions()
        entries, has_more = _slice(self._read, viewer.limits)
        del self._read[: len(entries)]
        return self._offer(viewer, entries, seen, {} if has_more else self._reached)

    async def _begin(self, seen: TailPosition) -> Replay:
        """Read every partition again: the ring may forget meanwhile what it still holds of the others."""
        floor = self._hub.ring.floor
        behind = {place: seen.offsets.get(place, -1) for place in floor}
        behind = {place: offset for place, offset in behind.items() if offset < floor[place]}
        if min(behind.values()) < 0:
            raise KafkaDown("the topics have more partitions than then")
        if sum(floor[place] - offset for place, offset in behind.items()) > self._archive.settings.logsvc_resume_rows:
            raise KafkaDown("it is more than LOGSVC_RESUME_ROWS")
        await self._closed()
        async with asyncio.timeout(TURN_SECONDS):
            await self._archive.turns.acquire()
        replay = Replay(self._archive.settings, {place: seen.offsets[place] for place in floor})
        try:
            await replay.open()
        except BaseException:
            self._archive.turns.release()
            await replay.close()
            raise
        return replay

    def _in_order(self, polled: Mapping[Place, Sequence[Record]]) -> list[Entry]:
        """By time, as far as it goes; each partition's in its own order."""
        topics = self._archive.settings.topics
        rows = [entries_of(topics, place, records) for place, records in polled.items()]
        return list(heapq.merge(*rows, key=attrgetter("timestamp")))

    def _offer(
        self, viewer: Viewer, entries: Sequence[Entry], seen: TailPosition, reached: Mapping[Place, int]
    ) -> TailPosition:
        for chunk in self._hub.cut(Sieve(entries), viewer.filter, seen.offsets, is_last=False):
            viewer.offer(chunk)
        passed = {entry.place: entry.offset + 1 for entry in entries}
        for entry in entries:
            entry.forget()
        at_ms = entries[-1].timestamp if entries else seen.at_ms
        return TailPosition(further(further(seen.offsets, passed), reached), at_ms)


def _slice(entries: Iterable[Entry], limits: Limits) -> tuple[list[Entry], bool]:
    """The first entries that a viewer who has taken all may be offered at once, and whether there are more.

    So many that what is new finds room beside them: none of what was missed is dropped for want of it.
    """
    some: list[Entry] = []
    size = 0
    for entry in entries:
        size += len(entry.value)
        if some and (len(some) == min(SLICE_ROWS, limits.most_rows) or size > limits.most_bytes // 2):
            return some, True
        some.append(entry)
    return some, False
