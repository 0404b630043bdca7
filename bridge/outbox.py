"""What the readers of one partition hand to its writer: records in order, gathered into transactions.

Bounded by bytes: a reader waits when the writer is behind. No record is bigger than Kafka takes: one that is becomes
what `refuse` makes of it, since a writer that cannot send it would be replaced again and again. Nothing in it outlives
the writer: after a failure it is thrown away with the readers, and the cursors say where to go on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from bridge.record import MAX_RECORD_BYTES, Record

MAX_BYTES = 4 * 1024 * 1024
TRANSACTION_BYTES = 1024 * 1024

Committed = Callable[[], None]
Refuse = Callable[[Record], Record]
"""Makes a dead letter of a record that is too big."""


class Outbox:
    """A queue of record groups; a group is never split over two transactions."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self._groups: deque[tuple[Sequence[Record], int, Committed | None]] = deque()
        self._bytes = 0
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_plenty = asyncio.Event()
        self._is_closed = False

    async def put(self, records: Sequence[Record], committed: Committed | None = None) -> None:
        """Add records that must be committed together; `committed` is called once they are."""
        while self._bytes >= MAX_BYTES:
            self._has_room.clear()
            await self._has_room.wait()
        sizes = [record.size for record in records]
        if max(sizes, default=0) > MAX_RECORD_BYTES:
            records = [record if record.size <= MAX_RECORD_BYTES else self._refuse(record) for record in records]
            sizes = [record.size for record in records]
        size = sum(sizes)
        self._groups.append((records, size, committed))
        self._bytes += size
        self._has_work.set()
        if self._bytes >= TRANSACTION_BYTES:
            self._has_plenty.set()

    async def wait(self) -> bool:
        """Return True when there is something to write, False when it was closed and is empty."""
        await self._has_work.wait()
        return bool(self._groups) or not self._is_closed

    async def gather(self, seconds: float) -> None:
        """Let more be put for so long, or until there is a whole transaction of it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._has_plenty.wait()

    def close(self) -> None:
        """No more will be put: let the writer finish."""
        self._is_closed = True
        self._has_work.set()
        self._has_plenty.set()

    def take(self) -> tuple[list[Record], list[Committed]]:
        """Take groups in order, about TRANSACTION_BYTES of them."""
        records: list[Record] = []
        callbacks: list[Committed] = []
        size = 0
        while self._groups and size < TRANSACTION_BYTES:
            group, its_size, committed = self._groups.popleft()
            records += group
            size += its_size
            if committed is not None:
                callbacks.append(committed)
        self._bytes -= size
        if self._bytes < MAX_BYTES:
            self._has_room.set()
        if self._bytes < TRANSACTION_BYTES and not self._is_closed:
            self._has_plenty.clear()
        if not self._groups and not self._is_closed:
            self._has_work.clear()
        return records, callbacks
