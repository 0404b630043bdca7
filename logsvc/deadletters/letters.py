"""Dead letters: what could never be a row, and why."""

import hashlib
from typing import NamedTuple

from logsvc.ingest.batch import Record
from logsvc.partitions import Place
from tocsin.events import VERSION, DeadLetter, encode
from tocsin.times import current_ms

BODY_BYTES = 64 * 1024


class Letter(NamedTuple):
    """An encoded DeadLetter. id: where its record was; the same record makes the same one again."""

    id: str
    body: bytes


def letter_of(place: Place, record: Record, reason: str) -> Letter:
    """Make the dead letter of one record."""
    origin = f"kafka:{place.topic}:{place.partition}:{record.offset}"
    value = record.value or b""
    letter = DeadLetter(
        v=VERSION,
        id=origin,
        ts=current_ms(),
        service="logsvc",
        reason=reason,
        origin=origin,
        body=value[:BODY_BYTES].decode(errors="replace"),
        sha256=hashlib.sha256(value).hexdigest(),
        length=len(value),
    )
    return Letter(origin, encode(letter))
