"""Which queues a source has: SCAN for `<prefix>:*:meta`, with a budget, never KEYS; none where the settings list them.

A scan counts only when it came to its end; a half one removes nothing. What it found is told before that: of a big key
space it takes minutes. Queues that were known before, or that a worker's connection is named after, are asked for at
once.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import structlog

from bridge.errors import SourceUnavailable
from bridge.metrics import Metrics
from bridge.settings import Source
from bridge.sources.bullmq.door import Command, Door, Link, Refused, Reply, accepted, is_about_key
from bridge.sources.bullmq.keys import Keys, queue_of_meta
from tocsin.lifecycle import pause

log = structlog.get_logger("bridge.discovery")

SCAN_COUNT = 1000
KEYS_A_SECOND = 20_000
"""Passed by all replicas of a site together: 0.5 to 1.1 % of a core of Redis, as measured."""

FIRST_KEYS_A_SECOND = 200_000
"""Passed by a process that knows no queue yet, once of each Redis: not again and again while one of them is away."""

TELL_SECONDS = 1.0
"""Between two times that the queues found by an unfinished scan are told."""

AGAIN_SECONDS = 1.0
"""Before a page that failed is asked for once more."""

PAGE_SECONDS = 60.0
"""How long one page is asked for, before the whole scan is given up."""

MOST_CHANGES = 3
"""How often another process may answer in the midst of one scan."""
SEVERAL = "its address leads to several Redis by turns, so no SCAN ends: name one of them, or the sentinels or nodes"

SLOW_SECONDS = 60.0
MAX_KEY_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Missed:
    """Two complete scans in a row that did not find a queue, by when they began: Redis's clock, ms."""

    first_ms: int
    second_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """One complete scan, and what the next one found until now. begun_ms: Redis's clock before it; a queue absent from
    it was created later.

    earlier: the complete scan before it, with none before itself. is_whole False: there is none yet, this is of the
    first one, which goes on.
    """

    queues: frozenset[str]
    begun_ms: int
    earlier: "Found | None" = None
    is_whole: bool = True

    def missed(self, queue: str) -> Missed | None:
        """The evidence that a queue is no more; None if this scan or the one before it found it, or there was none."""
        if self.earlier is None or queue in self.queues or queue in self.earlier.queues:
            return None
        return Missed(self.earlier.begun_ms, self.begun_ms)


@dataclass(frozen=True, slots=True)
class _Page:
    """Of a scan. run: what names the process that answered, for as long as it runs; None = it does not say."""

    keys: Sequence[bytes]
    next_cursor: bytes
    run: bytes | None


class Discovery:
    """Keeps the newest complete scan of one source.

    shares: how many of the `partitions` this process has; as big a part of the budget is its own.
    """

    def __init__(
        self, source: Source, door: Door, metrics: Metrics, *, every_seconds: float, partitions: int = 1
    ) -> None:
        self.source = source
        self.shares = 0
        self._partitions = partitions
        self._door = door
        self._metrics = metrics
        self._every_seconds = every_seconds
        self._found: Found | None = None
        self._passed: set[Link] = set()
        self._expected: set[str] = set()
        self._unanswered: set[str] = set()
        self._is_fresh = False
        self._is_unnamed_told = False
        self._is_slow_told = False
        self._changed = asyncio.Condition()

    @property
    def found(self) -> Found | None:
        """The newest complete scan; None until the first one."""
        return self._found if self._found is not None and self._found.is_whole else None

    @property
    def count(self) -> int:
        """How many queues are known."""
        return len(self._found.queues) if self._found is not None else 0

    @property
    def is_fresh(self) -> bool:
        """Whether the last scan came to its end; or the first one goes on, and what it found is told."""
        return self._is_fresh

    async def run(self, stop: asyncio.Event) -> None:
        """Scan for ever; an unreachable source is tried again."""
        while not stop.is_set():
            try:
                await self._publish(await self.scan())
                self._is_fresh = True
            except SourceUnavailable as error:
                self._tell_unreachable(error)
            await pause(stop, self._every_seconds if self.found else 1.0)

    def expect(self, queues: Iterable[str]) -> None:
        """These were there when somebody read them last: they are asked for before a scan may find them."""
        self._expected.update(filter(self.source.watches, queues))

    def expect_new(self, names: Iterable[str]) -> None:
        """These may be queues; those that are not known yet are asked for before a scan may find them."""
        known = self._found.queues if self._found is not None else frozenset[str]()
        self.expect(name for name in names if name not in known and len(name) <= MAX_KEY_BYTES)

    async def scan(self) -> Found:
        """Go once through the key space.

        Raises SourceUnavailable if it cannot be done to the end, once it has told what answers to it all the same.
        """
        begun_ms = await self._door.read_clock()
        away: SourceUnavailable | None = None
        if self.source.listed is not None:
            present, _, away = await self._present(self.source.listed)
            if away is not None:
                await self._tell_found(present, begun_ms)
                raise away
            self._tell_absent(self.source.listed - present)
            return Found(frozenset(present), begun_ms)
        queues: set[str] = set()
        unnamed: set[bytes] = set()
        self._expected |= self._unanswered
        self._unanswered.clear()
        if self._expected:
            await self._tell_so_far(queues, begun_ms)
        begun = told_at = time.monotonic()
        for part in await self._door.parts():
            try:
                async for page in self._meta_keys(part):
                    keys = page or ()
                    named = {key: name for key in keys if (name := _text(key)) is not None}
                    unnamed |= {key[:MAX_KEY_BYTES] for key in keys if key not in named}
                    queues |= {queue for name in named.values() if (queue := self._queue(name)) is not None}
                    if self._expected or time.monotonic() - told_at >= TELL_SECONDS:
                        await self._tell_so_far(queues, begun_ms)
                        self._is_fresh |= page is not None and self.found is None and away is None
                        told_at = time.monotonic()
            except SourceUnavailable as error:
                away = error
        if away is not None:
            await self._tell_so_far(queues, begun_ms)
            raise away
        self._tell_unnamed(len(unnamed))
        self._tell_slow(time.monotonic() - begun)
        return Found(frozenset(queues), begun_ms)

    async def _meta_keys(self, part: Link) -> AsyncIterator[Sequence[bytes] | None]:
        """The keys of one process that are some queue's meta hash, page by page; None each time it did not answer."""
        page = await self._page(part, b"0")
        is_first = self.found is None and part not in self._passed
        self._passed.add(part)
        yield page.keys
        changes = 0
        while page.next_cursor != b"0":
            await asyncio.sleep(SCAN_COUNT / (FIRST_KEYS_A_SECOND if is_first else self._keys_a_second))
            async for after in self._page_after(part, page):
                if after is None:
                    yield None
                    continue
                page, is_anew = after
                changes += is_anew
                if changes > MOST_CHANGES:
                    raise SourceUnavailable(SEVERAL)
                yield page.keys

    async def _page_after(self, part: Link, page: _Page) -> AsyncIterator[tuple[_Page, bool] | None]:
        """The next page, asked for again while it fails: what was passed took minutes, and need not be passed anew.

        None each time it fails, then the page. A cursor means nothing to another process, not even to the one that was
        started again: of it the first page, and True.
        """
        cursor, is_fresh, has_failed = page.next_cursor, self._is_fresh, False
        until = time.monotonic() + PAGE_SECONDS
        while True:
            try:
                after = await self._page(part, cursor, with_run=page.run is not None)
            except SourceUnavailable as error:
                if time.monotonic() >= until or part not in await self._door.parts():
                    raise
                self._tell_unreachable(error)
                has_failed = True
                yield None
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if has_failed:
                self._is_fresh = is_fresh
            is_same = not has_failed if page.run is None else after.run == page.run
            if is_same or cursor == b"0":
                yield after, cursor == b"0"
                return
            cursor = b"0"

    async def _page(self, part: Link, cursor: bytes, *, with_run: bool = True) -> _Page:
        pattern = f"{_escape_glob(self.source.prefix)}:*:meta"
        commands: list[Command] = [("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)]
        if with_run:
            commands.append(("INFO", "server"))
        page, *info = await part.ask(commands)
        next_cursor, keys = cast(tuple[bytes, list[bytes]], accepted(commands[0], page))
        return _Page(keys, next_cursor, _run_of(info[0]) if info else None)

    @property
    def _keys_a_second(self) -> float:
        return KEYS_A_SECOND * max(1, self.shares) / self._partitions

    async def _present(self, queues: Collection[str]) -> tuple[set[str], set[str], SourceUnavailable | None]:
        """Those of these queues that are there, and those of which Redis does not say: reading them will tell.

        Each process is asked by itself; of one that is away none is there: which these are, and why, is told too.
        """
        by_shard: dict[str, list[str]] = {}
        for queue in queues:
            by_shard.setdefault(self._door.shard(Keys(self.source.prefix, queue).meta), []).append(queue)
        present, unanswered, away = set[str](), set[str](), None
        for names in by_shard.values():
            try:
                for start in range(0, len(names), SCAN_COUNT):
                    present |= await self._present_of(names[start : start + SCAN_COUNT])
            except SourceUnavailable as error:
                unanswered.update(names)
                away = error
        return present, unanswered, away

    async def _present_of(self, queues: Sequence[str]) -> set[str]:
        commands: list[Command] = [("EXISTS", Keys(self.source.prefix, queue).meta) for queue in queues]
        present: set[str] = set()
        for queue, command, reply in zip(queues, commands, await self._door.ask(commands), strict=True):
            is_refused = isinstance(reply, Refused) and is_about_key(reply)
            if is_refused or accepted(command, reply):
                present.add(queue)
        return present

    async def _tell_so_far(self, queues: set[str], begun_ms: int) -> None:
        """Tell what an unfinished scan found that was not known; add who of the expected is there."""
        expected = frozenset(self._expected)
        present, unanswered, _ = await self._present(expected)
        self._expected -= expected
        self._unanswered |= unanswered
        queues |= present  # it may have passed them before they were made
        await self._tell_found(queues, begun_ms)

    async def _tell_found(self, so_far: set[str], begun_ms: int) -> None:
        known = self._found or Found(frozenset(), begun_ms, is_whole=False)
        if not so_far <= known.queues:
            await self._put(replace(known, queues=known.queues | so_far))

    async def wait_for_change(self, known: Found | None, timeout: float) -> Found | None:
        """Return what is found as soon as it differs from `known` but for its times, or after timeout."""
        before = (known.queues, known.is_whole) if known else None

        def differs() -> bool:
            return self._found is not None and (self._found.queues, self._found.is_whole) != before

        async with self._changed:
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait_for(differs)
            except TimeoutError:
                return self._found
        return self._found

    def _tell_unreachable(self, error: SourceUnavailable) -> None:
        self._is_fresh = False
        self._metrics.source_errors.labels(self.source.name).inc()
        log.warning("source_unreachable", source=self.source.name, error=str(error))

    def _tell_unnamed(self, count: int) -> None:
        self._metrics.queues_unnamed.labels(self.source.name).set(count)
        if count and not self._is_unnamed_told:
            self._is_unnamed_told = True
            log.warning("queues_left_out", source=self.source.name, count=count, reason="a name is no text, or endless")

    def _tell_slow(self, seconds: float) -> None:
        """Say once that a new queue may be met late."""
        if seconds > SLOW_SECONDS and not self._is_slow_told:
            self._is_slow_told = True
            mend = (
                "new queues are met sooner while their workers are connected, if CLIENT LIST is allowed; else name each"
                " queue in `include`: then no SCAN is needed; or run fewer replicas: each has its part of the budget"
            )
            part = round(max(1, self.shares) / self._partitions, 2)
            log.warning("scan_slow", source=self.source.name, seconds=round(seconds), part_of_budget=part, mend=mend)

    def _tell_absent(self, queues: Collection[str]) -> None:
        """Say once which of the listed queues are not there yet: one may be misspelt."""
        if queues and self._found is None:
            mend = "each is watched as soon as it is there; look at its spelling"
            log.warning("listed_queues_absent", source=self.source.name, queues=sorted(queues)[:20], mend=mend)

    def _queue(self, key: str) -> str | None:
        """The queue of a meta key, if it is to be watched."""
        queue = queue_of_meta(self.source.prefix, key)
        return queue if queue is not None and self.source.watches(queue) else None

    async def _publish(self, found: Found) -> None:
        self._passed.clear()
        if self.found is None or found.queues != self.found.queues:
            log.info("queues_found", source=self.source.name, queues=len(found.queues))
        self._metrics.queues_watched.labels(self.source.name).set(len(found.queues))
        await self._put(replace(found, earlier=None if self.found is None else replace(self.found, earlier=None)))

    async def _put(self, found: Found) -> None:
        async with self._changed:
            self._found = found
            self._changed.notify_all()


def _text(key: bytes) -> str | None:
    """A key as text; None if it is none, or endless: BullMQ makes no such name."""
    try:
        return key.decode() if len(key) <= MAX_KEY_BYTES else None
    except UnicodeDecodeError:
        return None


def _run_of(info: Reply) -> bytes | None:
    found = re.search(rb"^run_id:(\w+)", info, re.MULTILINE) if isinstance(info, bytes) else None
    return found[1] if found else None


def _escape_glob(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in text)
