"""What the readers of one partition hand to its writer: records in order, gathered into transactions.

Bounded by bytes: a reader waits when the writer is behind. No record is bigger than Kafka takes: one that is becomes
what `refuse` makes of it, since a writer that cannot send it would be replaced again and again. Nothing in it outlives
the writer: after a failure it is thrown away with the readers, and the cursors say where to go on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from bridge.record import MAX_RECORD_BYTES, Record
from tocsin.lifecycle import pause

MAX_BYTES = 2 * 1024 * 1024
TRANSACTION_BYTES = 1024 * 1024

Committed = Callable[[], None]
Refuse = Callable[[Record], Record]
"""Makes a dead letter of a record that is too big."""


class Parcel(Protocol):
    """Takes the records of one transaction."""

    def extend(self, records: Sequence[Record], /) -> None: ...


P = TypeVar("P", bound=Parcel, covariant=True)


class _Transaction(Generic[P]):
    """One to come. size: bytes of its records."""

    __slots__ = ("committed", "parcel", "size")

    def __init__(self, parcel: P) -> None:
        self.parcel = parcel
        self.size = 0
        self.committed: list[Committed] = []


class Outbox(Generic[P]):
    """A queue of transactions; records put together are never split over two. new_parcel: see Parcel."""

    def __init__(self, refuse: Refuse, new_parcel: Callable[[], P]) -> None:
        self._refuse = refuse
        self._new_parcel = new_parcel
        self._transactions: deque[_Transaction[P]] = deque()
        self._bytes = 0
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_plenty = asyncio.Event()
        self._is_closed = False

    async def put(self, records: Sequence[Record], committed: Committed | None = None) -> None:
        """Add records that must be committed together, once there is room; `committed` is called once they are."""
        await self.room()
        self.add(records, committed)

    async def room(self) -> None:
        """Wait until the writer is not too far behind."""
        while self._bytes >= MAX_BYTES:
            self._has_room.clear()
            await self._has_room.wait()

    def add(self, records: Sequence[Record], committed: Committed | None = None) -> None:
        """`put` at once: for who waited for room before reading what this is made of."""
        sizes = [record.size for record in records]
        if max(sizes, default=0) > MAX_RECORD_BYTES:
            records = [record if record.size <= MAX_RECORD_BYTES else self._refuse(record) for record in records]
            sizes = [record.size for record in records]
        if not self._transactions or self._transactions[-1].size >= TRANSACTION_BYTES:
            self._transactions.append(_Transaction(self._new_parcel()))
        last, size = self._transactions[-1], sum(sizes)
        last.parcel.extend(records)
        last.size += size
        if committed is not None:
            last.committed.append(committed)
        self._bytes += size
        self._has_work.set()
        if self._bytes >= TRANSACTION_BYTES:
            self._has_plenty.set()

    async def wait(self) -> bool:
        """Return True when there is something to write, False when it was closed and is empty."""
        await self._has_work.wait()
        return bool(self._transactions) or not self._is_closed

    async def gather(self, seconds: float) -> None:
        """Let more be put for so long, or until there is a whole transaction of it."""
        await pause(self._has_plenty, seconds)

    def close(self) -> None:
        """No more will be put: let the writer finish."""
        self._is_closed = True
        self._has_work.set()
        self._has_plenty.set()

    def discard(self) -> None:
        """Nobody writes what is left of it."""
        self._transactions.clear()

    def take(self) -> tuple[P, list[Committed]]:
        """Take the next transaction, of about TRANSACTION_BYTES; an empty one where there is none."""
        taken = self._transactions.popleft() if self._transactions else _Transaction(self._new_parcel())
        self._bytes -= taken.size
        if self._bytes < MAX_BYTES:
            self._has_room.set()
        if self._bytes < TRANSACTION_BYTES and not self._is_closed:
            self._has_plenty.clear()
        if not self._transactions and not self._is_closed:
            self._has_work.clear()
        return taken.parcel, taken.committed
