"""Contract structs -> Kafka records, with the CloudEvents headers every consumer finds."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

from bridge.record import HEADERS_BYTES, Record
from bridge.redaction import redact
from bridge.sources.bullmq.translate import Bad, Place
from tocsin.events import (
    VERSION,
    DeadLetter,
    JobEvent,
    LogLine,
    QueueSnapshot,
    SchedulerSnapshot,
    SourceSnapshot,
    encode,
    encode_all,
)
from tocsin.times import current_ms
from tocsin.topics import Topics, queue_key

_JOB = b"tocsin.job"


class Records:
    """Makes the records of one topic prefix."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._jobs = topics.jobs

    def job(self, event: JobEvent) -> Record:
        return self.jobs(event.source, event.queue, [event])[0]

    def jobs(self, source: str, queue: str, events: Sequence[JobEvent]) -> list[Record]:
        """The records of events of one queue: what they share is looked up once."""
        topic, key = self._jobs, _key(source, queue)
        shared = len(key) + HEADERS_BYTES + len(_JOB)
        made: list[Record] = []
        for event, value in zip(events, encode_all(events), strict=True):
            identity = event.id.encode()
            made.append(Record(topic, key, value, identity, _JOB, None, shared + len(value) + len(identity)))
        return made

    def line(self, line: LogLine) -> Record:
        return _record(self._topics.logs, line.source, line.queue, line, line.id, "tocsin.log")

    def snapshot(self, snapshot: QueueSnapshot) -> Record:
        identity = f"{snapshot.source}:{snapshot.queue}:{snapshot.ts}"
        return _record(self._topics.queues, snapshot.source, snapshot.queue, snapshot, identity, "tocsin.queue")

    def scheduler(self, snapshot: SchedulerSnapshot) -> Record:
        key = scheduler_key(snapshot)
        identity = f"{key.decode()}:{snapshot.ts}".encode(errors="replace")
        return Record.of(self._topics.schedulers, key, encode(snapshot), identity, b"tocsin.scheduler")

    def no_scheduler(self, snapshot: SchedulerSnapshot) -> Record:
        """The tombstone of a scheduler that is gone."""
        return Record.of(self._topics.schedulers, scheduler_key(snapshot), None)

    def source(self, snapshot: SourceSnapshot) -> Record:
        key, value = snapshot.source.encode(), encode(snapshot)
        identity = f"{snapshot.source}:{snapshot.ts}".encode(errors="replace")
        return Record.of(self._topics.sources, key, value, identity, b"tocsin.source", partition=0)

    def no_snapshot(self, place: Place) -> Record:
        """A tombstone: there are no counts of this queue any more."""
        return Record.of(self._topics.queues, queue_key(place.source, place.queue).encode(), None)

    def cursor(self, key: bytes, value: bytes | None) -> Record:
        return Record.of(self._topics.cursors, key, value)

    def too_big(self, record: Record) -> Record:
        """A record that Kafka would never take. It is one of this contract, redacted already."""
        whole = record.value or b""
        key = redact.cut(record.key.decode(errors="replace"), redact.NAME_BYTES)
        letter = DeadLetter(
            v=VERSION,
            id=f"kafka:{record.topic}:{key}:{hashlib.sha256(whole).hexdigest()}",
            ts=current_ms(),
            service="bridge",
            reason=f"a record of {record.size} bytes, more than Kafka takes",
            origin=f"kafka:{record.topic}:{key}",
            body=redact.cut(whole.decode(errors="replace"), redact.DEAD_LETTER_BYTES),
            sha256=hashlib.sha256(whole).hexdigest(),
            length=len(whole),
        )
        return self._letter(letter)

    def dead_letter(self, place: Place, bad: Bad, ts: int) -> Record:
        """A stream entry that is no event: its fields as JSON, redacted; sha256 is of the whole before that."""
        body = json.dumps(bad.entry.fields, ensure_ascii=False)
        raw = body.encode(errors="replace")
        origin = f"redis:{place.source}:{place.queue}:{bad.entry.id}"
        letter = DeadLetter(
            v=VERSION,
            id=origin,
            ts=ts,
            service="bridge",
            reason=bad.reason,
            origin=origin,
            body=redact.json_text(body, redact.DEAD_LETTER_BYTES),
            sha256=hashlib.sha256(raw).hexdigest(),
            length=len(raw),
        )
        return self._letter(letter)

    def _letter(self, letter: DeadLetter) -> Record:
        key, value, identity = letter.origin.encode(), encode(letter), letter.id.encode(errors="replace")
        return Record.of(self._topics.deadletter, key, value, identity, b"tocsin.deadletter", partition=0)


def scheduler_key(snapshot: SchedulerSnapshot) -> bytes:
    """The record key of a scheduler, whose id may hold anything."""
    return f"{queue_key(snapshot.source, snapshot.queue)}:{snapshot.scheduler}".encode()


def _record(
    topic: str, source: str, queue: str, value: JobEvent | LogLine | QueueSnapshot, identity: str, kind: str
) -> Record:
    return Record.of(topic, _key(source, queue), encode(value), identity.encode(errors="replace"), kind.encode())


@lru_cache(maxsize=4096)
def _key(source: str, queue: str) -> bytes:
    return queue_key(source, queue).encode()
