"""Reads what is new in some streams, exactly: MULTI{XINFO, XREAD} each, and a closer look where something was lost.

A stream that was read to its end is followed by an XREAD alone, as long as its last entry is there still; only whole
reads, when its lane's next check is due, say what Redis itself counts.

A stream that Redis refuses (another type, or forbidden) is marked so and left out; the others are read on. Where one
read does not arrive in time, an entry of some stream may be too big to come with others: each is read alone then, with
more time. One that does not arrive even so is left like a refused one.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import cast

import structlog

from bridge.errors import SourceUnavailable, TooSlow
from bridge.sources.bullmq import stream, wire
from bridge.sources.bullmq.door import ASK_SECONDS, Command, Refused, Reply, Tracked
from bridge.sources.bullmq.door.together import AT_ONCE_SECONDS
from bridge.sources.bullmq.enrich import whole
from bridge.sources.bullmq.groups import cut_back
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.stream import Entry, Info, Reading
from bridge.sources.bullmq.surroundings import Surroundings
from bridge.sources.bullmq.watched import MOST_ENTRIES, READ_BYTES, Queue, Read
from bridge.sources.bullmq.wire import Unreadable

log = structlog.get_logger("bridge.lane")

ALONE_SECONDS = 60.0
"""For what one stream alone brings: the last entry passed, new ones, and in a whole read the first and the last one,
which XINFO shows. Its lane waits."""

QUICK_SECONDS = 1.0
"""A stream that was read alone in less may be read with others again."""

APART_SECONDS = 600.0
"""How long one that did not arrive even alone is left."""


class EntryReader:
    """For one lane. tracked: through which it reads what it follows."""

    def __init__(self, around: Surroundings, tracked: Tracked | None) -> None:
        self._tracked = tracked
        self._source = around.source
        self._door = around.door
        self._metrics = around.metrics
        self._tell_uncounted = around.tell_uncounted

    async def read(self, queues: Sequence[Queue]) -> list[Read]:
        """Read each stream once; together they bring MOST_ENTRIES at most. Raises SourceUnavailable."""
        together, slow = [queue for queue in queues if not queue.is_slow], [queue for queue in queues if queue.is_slow]
        reads = await self._read(together, ASK_SECONDS) if together else []
        for queue in slow:
            if time.monotonic() >= queue.apart_until:
                reads += await self._read_alone(queue)
        return reads

    async def _read_alone(self, queue: Queue) -> list[Read]:
        """Redis is asked before whether it answers at all, which is known sooner, and before the entries are blamed."""
        is_there = ("EXISTS", queue.keys.events)
        await self._door.ask([is_there])
        begun = time.monotonic()
        try:
            reads = await self._read([queue], ALONE_SECONDS)
        except TooSlow:
            await self._door.ask([is_there])
            queue.apart_until = time.monotonic() + APART_SECONDS
            self._refuse(queue, f"an entry is too big to arrive within {ALONE_SECONDS:g} s")
            return []
        queue.is_slow = time.monotonic() - begun > QUICK_SECONDS
        return reads

    async def _read(self, queues: Sequence[Queue], seconds: float) -> list[Read]:
        counts = [min(queue.portion.count, MOST_ENTRIES // len(queues)) for queue in queues]
        processes = [self._door.shard(queue.keys.events) for queue in queues]
        for queue, process in zip(queues, processes, strict=True):
            if queue.following.process != process:
                queue.following.check()  # another may have lost what this one knows
        commands = [_commands(queue, count) for queue, count in zip(queues, counts, strict=True)]
        try:
            replies = iter(await self._ask(queues, [*chain(*commands)], seconds))
        except SourceUnavailable as error:
            for queue in queues:
                queue.portion.shrink()
                queue.is_slow = queue.is_slow or isinstance(error, TooSlow)
            raise
        reads: list[Read] = []
        for queue, count, process, asked in zip(queues, counts, processes, commands, strict=True):
            mine = list(islice(replies, len(asked)))
            if queue.following.is_on:
                reading = await self._follow(queue, mine[0], count, process)
            else:
                reading = await self._whole(queue, mine, count, process)
            if reading is not None:
                reads.append(Read(*cut_back(reading), queue=queue))
        return reads

    async def _ask(self, queues: Sequence[Queue], commands: Sequence[Command], seconds: float) -> list[Reply]:
        """What is followed brings little, so it is asked for with what others ask; Redis tells then of what follows."""
        if not all(queue.following.is_on and not queue.is_slow for queue in queues):
            return await self._door.ask(commands, timeout=seconds, as_text=True)
        keys = [queue.keys.events for queue in queues]
        if self._tracked is not None and self._tracked.is_on:
            with suppress(SourceUnavailable):  # each asks for itself then
                read = [(key,) for key in keys]
                return await self._tracked.ask(commands, read, seconds=AT_ONCE_SECONDS, as_text=True)
        return await self._door.ask_together(keys, commands)

    async def _follow(self, queue: Queue, reply: Reply, count: int, process: str) -> Reading | None:
        """What came of a stream that was followed; None = that is not certain: it is to be read whole.

        process: the one that was asked, as far as was known.
        """
        if self._door.shard(queue.keys.events) != process:
            queue.following.check()
            return None
        found = wire.follow(queue.position, reply, count)
        if found is None:
            queue.following.fail()
            return None
        reading = self._advance(queue, *found, count)
        queue.following.is_on = not reading.is_full
        if not found[1] and self._tracked is not None:
            await self._tracked.note_idle()
        return reading

    async def _whole(self, queue: Queue, replies: Sequence[Reply], count: int, process: str) -> Reading | None:
        """What a whole read of one stream brought; None if it is refused. Raises SourceUnavailable."""
        try:
            info, entries = wire.parse(queue.position, replies)
        except Unreadable as error:
            self._refuse(queue, str(error))
            return None
        if info is not None and info.added is None:
            self._tell_uncounted()
        if queue.is_refused:
            queue.is_refused = False
            self._metrics.queues_refused.labels(self._source).dec()
        if entries and queue.following.is_quiet and self._tracked is not None:
            await self._tracked.should_have_told(queue.keys.events)
        reading = self._advance(queue, info, entries, count)
        if reading.is_reset and self._door.may_lag:
            await self._confirm_reset(queue, count)
        if reading.is_reset or reading.is_miscounted or reading.lost:
            reading = await self._look_closer(queue, reading)
        queue.following.whole(queue.position, info, reading, process)
        return reading

    def _advance(self, queue: Queue, info: Info | None, entries: list[Entry], count: int) -> Reading:
        if info is not None and info.added is not None:
            self._watch_window(queue, info.added, info.length)
        queue.portion.learn([entry.size for entry in entries])
        return stream.advance(queue.position, info, entries, count, queue.following.sure_id)

    async def _confirm_reset(self, queue: Queue, count: int) -> None:
        """A replica that is behind looks like a stream begun anew; its primary knows. Raises SourceUnavailable."""
        commands = wire.read_commands(queue.keys.events, queue.position, count)
        try:
            info, entries = wire.parse(queue.position, await self._door.ask_primary(commands))
        except Unreadable as error:
            raise SourceUnavailable(f"the primary refuses {queue.place.queue}: {error}") from error
        if not stream.advance(queue.position, info, entries, count).is_reset:
            raise SourceUnavailable(f"the replica is behind what was read of {queue.place.queue} before")

    async def _look_closer(self, queue: Queue, reading: Reading) -> Reading:
        """Whether a stream that is another was only cut short, and one that lost entries is another all the same.

        Raises SourceUnavailable.
        """
        position, keys = queue.position, queue.keys
        if reading.lost and position.jobs_added:
            (counter,) = await self._door.ask_primary([("GET", keys.of("id"))])
            is_another = not isinstance(counter, Refused) and whole(counter) < position.jobs_added
            return stream.begin_anew(position, is_there=True) if is_another else reading
        if (reading.is_miscounted or (reading.is_reset and reading.is_full)) and queue.recent:
            return stream.go_on(position, queue.recent, await self._ids_before(queue)) or reading
        return reading

    async def _ids_before(self, queue: Queue) -> list[str]:
        """The ids of a stream's entries up to the position, newest first, at least to where they are known again.

        As many are looked at as may be known. Raises SourceUnavailable.
        """
        ids: list[str] = []
        portion = Portion(first=100, most=stream.MOST_RECENT, wanted_bytes=READ_BYTES)
        end = queue.position.last_id
        while len(ids) < stream.MOST_RECENT:
            count = portion.count
            (reply,) = await self._door.ask_primary([("XREVRANGE", queue.keys.events, end, "-", "COUNT", count)])
            if isinstance(reply, Refused):
                break
            page = wire.entries_of(cast(list[Reply], reply))
            ids += [entry.id for entry in page]
            if len(page) < count or page[-1].id in queue.recent:
                break
            portion.learn([entry.size for entry in page])
            end = f"({page[-1].id}"
        return ids

    def _watch_window(self, queue: Queue, added: int, length: int) -> None:
        position, window = queue.position, queue.lag.window
        is_history = position.is_first_contact or position.is_backfill(position.last_id)
        window.see(added=added, length=length, passed=position.pos, is_history=is_history)
        small = window.small()
        if small is not None:
            log.warning(
                "trim_window_small",
                source=self._source,
                queue=queue.place.queue,
                max_len=small.max_len,
                events_a_second=round(small.rate, 1),
                holds_seconds=round(small.seconds, 1),
                left=round(small.left, 2),
                mend=small.mend,
            )

    def _refuse(self, queue: Queue, reason: str) -> None:
        queue.lag.unread(None)
        if not queue.is_refused:
            queue.is_refused = True
            self._metrics.queues_refused.labels(self._source).inc()
            log.error("queue_refused", source=self._source, queue=queue.place.queue, error=reason)


def _commands(queue: Queue, count: int) -> list[Command]:
    if queue.following.is_on:
        return [wire.follow_command(queue.keys.events, queue.position, count)]
    return wire.read_commands(queue.keys.events, queue.position, count)
