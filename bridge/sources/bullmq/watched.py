"""A queue as its lane knows it, and what one read of it brought."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.sources.bullmq.groups import Batch
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logtail import LogTail
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.stream import Entry, Position
from bridge.sources.bullmq.translate import Place

FIRST_ENTRIES = 20
MOST_ENTRIES = 1000
LEAST_ENTRIES = 2
READ_BYTES = 1024 * 1024
"""What one read of one stream should bring: entries may hold megabytes, so their number follows their size."""


@dataclass(slots=True)
class Queue:
    """One queue as this lane knows it.

    is_primed: the memory holds what was relayed before a restart. count: entries to ask for. is_met: a cursor of it is
    in Kafka, or in the outbox before whatever is put there now.
    """

    place: Place
    keys: Keys
    position: Position
    memory: QueueMemory
    tail: LogTail
    is_primed: bool
    is_met: bool
    count: int = FIRST_ENTRIES
    is_refused: bool = False

    def resize(self, asked: int, entries: Sequence[Entry]) -> None:
        """Ask for more next time, or for less if entries are big."""
        size = sum(len(value) for entry in entries for value in entry.fields.values())
        fitting = READ_BYTES * len(entries) // max(1, size) if entries else MOST_ENTRIES
        self.count = max(LEAST_ENTRIES, min(MOST_ENTRIES, 2 * max(asked, self.count), fitting))

    def expect(self, entry_bytes: int) -> None:
        """The next entry is so big: those behind it may be too."""
        self.count = max(LEAST_ENTRIES, min(self.count, READ_BYTES // max(1, entry_bytes)))


@dataclass(slots=True)
class Read(Batch):
    """A batch with the queue it came from, and the log lines its jobs' ends brought."""

    queue: Queue = field(kw_only=True)
    lines: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    skipped: dict[str, int] = field(default_factory=dict[str, int])
