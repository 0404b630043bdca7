"""The newest records of the live tail, kept so that a viewer who was away for a moment can go on without a hole."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from logsvc.ingest.batch import Record
from logsvc.live.filter import Subject, subject_of
from logsvc.partitions import Place
from logsvc.rows import live_row
from logsvc.storable import fitted
from tocsin.events import JobEvent, LogLine
from tocsin.topics import Topics


class Entry:
    """One record of the tail, not decoded before somebody watches. timestamp: the producer's clock, ms.

    subject and row raise BadRecord if it can never be a row: then ingest buries it.
    """

    __slots__ = ("_read", "_row", "_subject", "offset", "place", "struct", "timestamp", "value")

    def __init__(
        self, place: Place, offset: int, timestamp: int, value: bytes, struct: type[JobEvent] | type[LogLine]
    ) -> None:
        self.place = place
        self.offset = offset
        self.timestamp = timestamp
        self.value = value
        self.struct = struct
        self._read: tuple[JobEvent | LogLine, bytes] | None = None
        self._subject: Subject | None = None
        self._row: bytes | None = None

    @property
    def read(self) -> tuple[JobEvent | LogLine, bytes]:
        """The record and the bytes to show of it."""
        if self._read is None:
            self._read = fitted(self.struct, self.value)
        return self._read

    @property
    def subject(self) -> Subject:
        if self._subject is None:
            self._subject = subject_of(self.read[0])
        return self._subject

    @property
    def row(self) -> bytes:
        if self._row is None:
            self._row = live_row(*self.read, self.place.partition, self.offset)
        return self._row

    def forget(self) -> None:
        """Drop what was made of the value; it is made again when somebody asks."""
        self._read = self._subject = self._row = None


def entries_of(topics: Topics, place: Place, records: Sequence[Record]) -> list[Entry]:
    """Entries of one partition's records."""
    struct = JobEvent if place.topic == topics.jobs else LogLine
    return [Entry(place, record.offset, record.timestamp, record.value or b"", struct) for record in records]


class Ring:
    """Entries in the order they were read, bounded by number and bytes; what overflows is forgotten, oldest first."""

    def __init__(self, most_rows: int, most_bytes: int) -> None:
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._floor: dict[Place, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        return self._bytes

    @property
    def floor(self) -> Mapping[Place, int]:
        """From these offsets on nothing has been forgotten."""
        return self._floor

    @property
    def oldest_ms(self) -> int:
        """The oldest entry's time; 0 = the ring is empty."""
        return self._entries[0].timestamp if self._entries else 0

    def begin(self, start: Mapping[Place, int]) -> None:
        """Forget all; from now on the ring holds everything from these offsets."""
        self._entries.clear()
        self._bytes = 0
        self._floor = dict(start)

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._bytes += len(entry.value)
        while self._entries and (len(self._entries) > self._most_rows or self._bytes > self._most_bytes):
            oldest = self._entries.popleft()
            self._bytes -= len(oldest.value)
            self._floor[oldest.place] = oldest.offset + 1

    def holds_all_since(self, position: Mapping[Place, int]) -> bool:
        """Whether no record at or after these positions has been forgotten."""
        return all(position.get(place, -1) >= floor for place, floor in self.floor.items())

    def since(self, position: Mapping[Place, int]) -> Iterator[Entry]:
        """What is kept at or after these positions, oldest first."""
        return (entry for entry in self._entries if entry.offset >= position.get(entry.place, 0))
