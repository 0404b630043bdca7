"""The newest dead letters of all services, held in memory: how many there are, and what they say."""

from collections import deque
from collections.abc import Sequence

import msgspec

from logsvc.batch import Record
from logsvc.times import rfc3339_or_none
from tocsin.events import DeadLetter, decode

NEWEST = 50
"""How many are kept; the topic has the rest."""

SHOWN_CHARACTERS = 500


class BuriedLetter(msgspec.Struct, frozen=True):
    """A dead letter. origin: where its record was. length: bytes of the whole, of which body shows the beginning."""

    id: str
    ts: str | None
    service: str
    reason: str
    origin: str
    length: int
    body: str


class BuriedLetters:
    """count: those that Kafka keeps, about: markers of transactions among those not read are counted too."""

    def __init__(self) -> None:
        self.count = 0
        self._newest: deque[BuriedLetter] = deque(maxlen=NEWEST)

    @property
    def newest(self) -> Sequence[BuriedLetter]:
        """The newest first."""
        return list(reversed(self._newest))

    def begin(self, *, before: int) -> None:
        """Begin anew. before: so many come before the first that will be taken."""
        self.count = before
        self._newest.clear()

    def take(self, record: Record) -> None:
        """Count one, and keep what it says. Raises BadRecord if it cannot be read."""
        self.count += 1
        if record.value is None:
            return
        one = decode(DeadLetter, record.value)
        ts, body = rfc3339_or_none(one.ts), one.body[:SHOWN_CHARACTERS]
        self._newest.append(BuriedLetter(one.id, ts, one.service, one.reason, one.origin, one.length, body))
