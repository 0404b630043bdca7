"""The newest dead letters of all services, held in memory: how many there are, and what they say."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from logsvc.ingest.batch import Record
from logsvc.partitions import Place
from tocsin.events import DeadLetter, decode
from tocsin.times import DAY_MS, current_ms, rfc3339_or_none
from tocsin.topics import DEAD_LETTER_DAYS

NEWEST = 500
"""How many are kept; the topic has the rest."""

HELD_CHARACTERS = 16 * 1024 * 1024
"""Of all bodies together."""

LISTED = 50
"""How many `/system` tells."""

SHOWN_CHARACTERS = 500

_ORIGIN = re.compile(r"kafka:([A-Za-z0-9._-]{1,249}):([0-9]{1,9}):([0-9]{1,18})")


class Origin(NamedTuple):
    """The record of a dead letter, in Kafka."""

    place: Place
    offset: int


class BuriedLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter. origin: where its record was; topic, partition, offset: the same, of a record that logsvc could
    not store, else null. length: bytes of the whole. body: its text, redacted before it came to Kafka; the beginning of
    it in a list, up to 64 KiB of one alone. can_replay: whether it may be tried again."""

    id: str
    ts: str | None
    service: str
    reason: str
    origin: str
    topic: str | None
    partition: int | None
    offset: int | None
    can_replay: bool
    length: int
    body: str


class BuriedLetters:
    """as_of_ms: when Kafka last said there is nothing newer; 0 = not read yet."""

    def __init__(self, clock: Callable[[], int] = current_ms) -> None:
        self.as_of_ms = 0
        self._clock = clock
        self._by_day: Counter[int] = Counter()
        self._held: dict[str, DeadLetter] = {}
        self._characters = 0

    @property
    def count(self) -> int:
        """Those that Kafka keeps, about: of those not read, markers are counted too, and go when they are all gone."""
        return sum(self._by_day[day] for day in self._by_day if day >= self._today - DEAD_LETTER_DAYS)

    @property
    def _today(self) -> int:
        return self._clock() // DAY_MS

    @property
    def newest(self) -> Sequence[BuriedLetter]:
        """The newest first, as a list shows them."""
        return [buried(one, most=SHOWN_CHARACTERS) for one in reversed(self._held.values())]

    def find(self, letter_id: str) -> DeadLetter | None:
        """One of the newest."""
        return self._held.get(letter_id)

    def begin(self, *, before: int) -> None:
        """Begin anew. before: so many come before the first that will be taken."""
        self._by_day = Counter({self._today: before})
        self._held.clear()
        self._characters = 0

    def take(self, record: Record) -> None:
        """Count one, and keep it in place of an older one of its id. Raises BadRecord if it cannot be read."""
        self._by_day[min(record.timestamp // DAY_MS, self._today)] += 1
        for day in [day for day in self._by_day if day < self._today - DEAD_LETTER_DAYS]:
            del self._by_day[day]
        if record.value is None:
            return
        one = decode(DeadLetter, record.value)
        self._forget(one.id)
        self._held[one.id] = one
        self._characters += len(one.body)
        while len(self._held) > NEWEST or (self._characters > HELD_CHARACTERS and len(self._held) > 1):
            self._forget(next(iter(self._held)))

    def _forget(self, letter_id: str) -> None:
        if (gone := self._held.pop(letter_id, None)) is not None:
            self._characters -= len(gone.body)


def buried(letter: DeadLetter, *, most: int | None = None) -> BuriedLetter:
    """A dead letter as it is told. most: characters of its body."""
    origin = origin_of(letter)
    return BuriedLetter(
        id=letter.id,
        ts=rfc3339_or_none(letter.ts),
        service=letter.service,
        reason=letter.reason,
        origin=letter.origin,
        topic=origin.place.topic if origin else None,
        partition=origin.place.partition if origin else None,
        offset=origin.offset if origin else None,
        can_replay=origin is not None,
        length=letter.length,
        body=letter.body[:most],
    )


def origin_of(letter: DeadLetter) -> Origin | None:
    """Where the record is that logsvc could not store; None of what bridge could not read: that was in Redis."""
    found = _ORIGIN.fullmatch(letter.origin) if letter.service == "logsvc" else None
    return Origin(Place(found[1], int(found[2])), int(found[3])) if found else None
