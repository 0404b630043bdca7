"""A queue's job schedulers: read page by page with ZSCAN, which misses none that stays; hashes only where needed.

A scheduler's score, its next run, changes with every iteration: with it its hash is read again, and all hashes now and
then, since `upsert` may change one and leave its next run. One is gone when two complete readings do not find it, and
where replicas are read, its primary knows nothing of it either: see reconcile/reconciler.py.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import structlog

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.enrich import whole
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.snapshots.repeat import FIELDS, GONE_AFTER, at, name_of, overdue_ms, snapshot
from bridge.sources.bullmq.translate import Place
from tocsin.events import SchedulerSnapshot

log = structlog.get_logger("bridge.schedulers")

PAGE = 500
HASHES_A_PIPELINE = 200
PIPELINE_BYTES = 1024 * 1024
"""What the hashes of one pipeline should bring: a template may hold megabytes."""
QUEUES_A_PIPELINE = 100
MAX_SCHEDULERS = 20_000
"""Of one queue; what is beyond is not told, and then nothing is told gone either."""

REFRESH_MS = 300_000
"""How often a hash is read although its scheduler's next run is the same."""
TOLD_MS = 45_000
"""A scheduler is told when it changes, and this often although it did not: less than a round of 10,000 queues takes."""


@dataclass(slots=True)
class Known:
    """A scheduler as it was told last. read_ms: when its hash was read. missed: complete readings without it."""

    told: SchedulerSnapshot
    read_ms: int = 0
    missed: int = 0


@dataclass(slots=True)
class Found:
    """One reading of one queue. runs: raw id -> next run, ms. is_whole: it came to its end."""

    queue: str
    keys: Keys
    runs: dict[bytes, int] = field(default_factory=dict[bytes, int])
    is_whole: bool = False


@dataclass(slots=True)
class Changes:
    """What one reading of one queue brought."""

    told: list[SchedulerSnapshot] = field(default_factory=list[SchedulerSnapshot])
    gone: list[SchedulerSnapshot] = field(default_factory=list[SchedulerSnapshot])


class Schedulers:
    """Those of one source's queues in one partition. Not for concurrent use."""

    def __init__(self, door: Door, prefix: str, told: Iterable[SchedulerSnapshot]) -> None:
        """told: what Kafka holds of them, from an earlier owner."""
        self._door = door
        self._prefix = prefix
        self._known: dict[str, dict[str, Known]] = {}
        self._cut: set[str] = set()
        self._is_refused = False
        self._hashes = Portion(first=20, most=HASHES_A_PIPELINE, wanted_bytes=PIPELINE_BYTES)
        for one in told:
            self._known.setdefault(one.queue, {})[one.scheduler] = Known(one)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Queue -> its schedulers, and how many of them are overdue."""
        return {
            queue: (len(known), sum(one.told.is_overdue for one in known.values()))
            for queue, known in self._known.items()
        }

    @property
    def queues(self) -> Collection[str]:
        """Those of which schedulers are known; they may be gone since."""
        return self._known.keys()

    async def read(self, queues: Sequence[str], places: Mapping[str, Place]) -> AsyncIterator[Changes]:
        """Read those of these queues; yield what changed, a queue at a time. Raises SourceUnavailable.

        places: of all queues that are there; another one is only looked at for what is gone.
        """
        for start in range(0, len(queues), QUEUES_A_PIPELINE):
            for found in await self._scan(queues[start : start + QUEUES_A_PIPELINE], self._door.ask):
                changes, place = Changes(), places.get(found.queue)
                if found.runs and place is not None:
                    try:
                        await self._tell(place, found, changes)
                    except SourceUnavailable:
                        yield changes  # they count as told
                        raise
                if found.is_whole:
                    await self._miss(found, changes)
                if changes.told or changes.gone:
                    yield changes

    async def _scan(self, queues: Sequence[str], ask: Callable[[list[Command]], Awaitable[list[Reply]]]) -> list[Found]:
        """The ids and next runs of some queues' schedulers, a page of each at a time."""
        found = [Found(queue, Keys(self._prefix, queue)) for queue in queues]
        going = [(one, b"0") for one in found]
        while going:
            asked: list[Command] = [("ZSCAN", one.keys.of("repeat"), cursor, "COUNT", PAGE) for one, cursor in going]
            replies = await ask(asked)
            self._tell_refused(going, replies)
            going = [
                (one, cursor)
                for (one, _), reply in zip(going, replies, strict=True)
                if (cursor := _take_page(one, reply)) is not None
            ]
        for one in found:
            if len(one.runs) >= MAX_SCHEDULERS and one.queue not in self._cut:
                self._cut.add(one.queue)
                log.warning("schedulers_left_out", queue=one.queue, told=MAX_SCHEDULERS)
        return found

    def _tell_refused(self, asked: Sequence[tuple[Found, bytes]], replies: Sequence[Reply]) -> None:
        """Say once that schedulers cannot be read, and where first; nothing is told of them then, nor gone."""
        for (one, _), reply in zip(asked, replies, strict=True):
            if isinstance(reply, Refused) and not self._is_refused:
                self._is_refused = True
                log.warning("schedulers_refused", queue=one.queue, error=str(reply), mend="allow ZSCAN on its `repeat`")

    async def _tell(self, place: Place, found: Found, changes: Changes) -> None:
        """Tell what is new, has changed or was not told for a while."""
        known, now = self._known.setdefault(found.queue, {}), self._door.now_ms()
        due: list[bytes] = []
        for raw, next_run in found.runs.items():
            one = known.get(name_of(raw))
            if one is None or one.told.next_run != next_run or now - one.read_ms >= REFRESH_MS:
                due.append(raw)
            elif now - one.told.ts >= TOLD_MS or (overdue_ms(next_run, now) and not one.told.is_overdue):
                one.told = at(one.told, now)
                changes.told.append(one.told)
        done = 0
        while done < len(due):
            some = due[done : done + self._hashes.count]
            done += len(some)
            replies = await self._ask_hashes([_hash_command(found.keys, raw) for raw in some])
            for raw, reply in zip(some, replies, strict=True):
                made = snapshot(place, raw, found.runs[raw], reply, now)
                if made is not None:
                    self._learn(known, made, now, changes)

    async def _ask_hashes(self, commands: Sequence[Command]) -> list[Reply]:
        """Ask for some hashes, and learn how many to ask for next."""
        try:
            replies = await self._door.ask(commands)
        except SourceUnavailable:
            self._hashes.shrink()
            raise
        self._hashes.learn([_size(reply) for reply in replies])
        return replies

    def _learn(self, known: dict[str, Known], made: SchedulerSnapshot, now: int, changes: Changes) -> None:
        before = known.get(made.scheduler)
        if before is None or now - before.told.ts >= TOLD_MS or _what(before.told) != _what(made):
            changes.told.append(made)
            known[made.scheduler] = Known(made, now)
        else:
            before.read_ms = now

    async def _miss(self, found: Found, changes: Changes) -> None:
        """After a complete reading: count those that were not in it, and take leave of those missed often enough."""
        known = self._known.get(found.queue, {})
        _count_missed(known, found)
        if self._door.may_lag and _are_any_gone(known):
            primary = await self._scan_primary(found.queue)
            if primary is None or not primary.is_whole:
                return
            for name in {name_of(raw) for raw in primary.runs} & known.keys():
                known[name].missed = 0
        for name, one in list(known.items()):
            if one.missed >= GONE_AFTER:
                changes.gone.append(one.told)
                del known[name]
        if not known:
            self._known.pop(found.queue, None)

    async def _scan_primary(self, queue: str) -> Found | None:
        """None = it does not answer: what it would be asked for waits."""
        try:
            return (await self._scan([queue], self._door.ask_primary))[0]
        except SourceUnavailable:
            return None


def _count_missed(known: Mapping[str, Known], found: Found) -> None:
    there = {name_of(raw) for raw in found.runs}
    for name, one in known.items():
        one.missed = 0 if name in there else one.missed + 1


def _are_any_gone(known: Mapping[str, Known]) -> bool:
    return any(one.missed >= GONE_AFTER for one in known.values())


def _take_page(found: Found, reply: Reply) -> bytes | None:
    """Keep one page's ids; return where the next begins, None = there is none, or it is refused."""
    if isinstance(reply, Refused):
        return None
    cursor, flat = cast(tuple[bytes, list[bytes]], reply)
    found.runs.update((raw, whole(score)) for raw, score in zip(flat[::2], flat[1::2], strict=True))
    if cursor == b"0":
        found.is_whole = len(found.runs) < MAX_SCHEDULERS
    return cursor if cursor != b"0" and len(found.runs) < MAX_SCHEDULERS else None


def _hash_command(keys: Keys, raw: bytes) -> Command:
    return ("HMGET", f"{keys.of('repeat')}:".encode() + raw, *FIELDS)


def _size(reply: Reply) -> int:
    values = cast(list[bytes | None], reply) if isinstance(reply, list) else []
    return sum(len(value) for value in values if value is not None)


def _what(one: SchedulerSnapshot) -> tuple[object, ...]:
    """What makes a snapshot news."""
    return tuple(getattr(one, name) for name in one.__struct_fields__ if name not in ("ts", "overdue_seconds"))
