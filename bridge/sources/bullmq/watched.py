"""A queue as its lane knows it, and what one read of it brought."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bridge.lag import Lag
from bridge.record import Record
from bridge.sources.bullmq.budget import ENTRY_BYTES, JOB_BYTES, PLACE_BYTES
from bridge.sources.bullmq.discovery import Missed
from bridge.sources.bullmq.following import Following
from bridge.sources.bullmq.groups import Batch
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logs.place import LogPlace
from bridge.sources.bullmq.logs.tail import LogTail
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from bridge.sources.bullmq.past import Past
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.reconcile.reconciling import Reconciling
from bridge.sources.bullmq.stream import Position, Recent
from bridge.sources.bullmq.tally import Tally
from bridge.sources.bullmq.translate import Place

FIRST_ENTRIES = 20
MOST_ENTRIES = 2000
"""What is done once a read and a stream is done for more of them then, and what they bring is small enough to stay in a
processor's cache until it is handed on."""

LEAST_ENTRIES = 2
READ_BYTES = 1024 * 1024
"""What one read of one stream should bring: entries may hold megabytes, so their number follows their size."""


def _entries() -> Portion:
    return Portion(first=FIRST_ENTRIES, most=MOST_ENTRIES, least=LEAST_ENTRIES, wanted_bytes=READ_BYTES)


@dataclass(slots=True)
class Queue:
    """One queue as this lane knows it. Times are monotonic."""

    place: Place
    keys: Keys
    position: Position
    memory: QueueMemory
    tail: LogTail
    past: Past
    """What was relayed before a restart."""
    lag: Lag
    tally: Tally
    is_met: bool
    """A cursor of it is in Kafka, or in the outbox before whatever is put there now."""
    reconciling: Reconciling = field(default_factory=Reconciling)
    """What was told of its open jobs, and how far that is compared with Redis."""
    portion: Portion = field(default_factory=_entries)
    """How many entries to ask for."""
    following: Following = field(default_factory=Following)
    is_refused: bool = False
    is_slow: bool = False
    """What it brings did not arrive in time, alone or with others: it is read alone."""
    apart_until: float = 0.0
    """It did not arrive even so: the queue is left until then."""
    moving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever tells of the queue together with its position."""
    mend_at: float = 0.0
    """Its gaps are left until then."""
    mend_failures: int = 0
    """How often Kafka did not tell in time what was told."""
    missed: Missed | None = None
    """Two complete scans did not find it."""
    recent: Recent = field(default_factory=Recent)
    is_reset_due: bool = False
    """Its stream is another than its position's. That is told once it is known what was open in the old one."""

    @property
    def is_quick(self) -> bool:
        """Whether Redis tells of it, and in time: else it keeps none waiting."""
        return not (self.is_refused or self.is_slow)

    @property
    def is_settled(self) -> bool:
        """Whether what Redis says may be held against what was told: else it is not compared, mended or let go."""
        return self.is_quick and self.is_taken_up and not self.is_reset_due

    @property
    def held_bytes(self) -> int:
        """About what is remembered of it, beside its open jobs."""
        return JOB_BYTES * len(self.memory) + PLACE_BYTES * len(self.tail) + ENTRY_BYTES * len(self.recent)

    def forget(self, most_bytes: int, ts: int) -> list[Record]:
        """Forget the oldest of everything, down to so much; return the records that make it last."""
        part = most_bytes / max(1, self.held_bytes)
        self.memory.shrink(int(part * len(self.memory)))
        self.recent.shrink(int(part * len(self.recent)))
        return self.tail.shrink(int(part * len(self.tail)), ts)

    def leave(self) -> None:
        """Nobody reads it here any more: remember nothing of its jobs."""
        self.memory.clear()
        self.recent.shrink(0)
        self.tail.leave()

    @property
    def is_taken_up(self) -> bool:
        """Whether it is known what was told of its open jobs before a restart."""
        return self.reconciling.stored is None


@dataclass(slots=True)
class Read(Batch):
    """A batch with the queue it came from, and the log lines its jobs' ends brought.

    skipped: where a log ended that was told in another life of its job. long_logs: jobs whose log has more lines.
    """

    queue: Queue = field(kw_only=True)
    lines: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    skipped: dict[str, LogPlace] = field(default_factory=dict[str, LogPlace])
    long_logs: list[str] = field(default_factory=list[str])


Tell = Callable[[Queue, str, JobMemory, list[str]], Awaitable[None]]
"""Relays lines of a job's log at once."""
