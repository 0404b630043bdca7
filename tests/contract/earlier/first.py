"""The wire contract: one struct per Kafka topic, flat JSON, one vocabulary for Kafka, ClickHouse and HTTP.

Field names are ClickHouse's column names. Times are integers, milliseconds since 1970 UTC. A field that is absent has
its default; a consumer ignores fields it does not know, so fields may be added within one `v`.
"""

from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

import msgspec

VERSION = 1
"""The contract's major version, `v` on every record. A consumer dead-letters a record of a version it cannot read."""


class State(StrEnum):
    """What a job is after its event. `retrying` = this attempt failed and another will follow."""

    WAITING = "waiting"
    ACTIVE = "active"
    DELAYED = "delayed"
    RETRYING = "retrying"
    WAITING_CHILDREN = "waiting-children"
    COMPLETED = "completed"
    FAILED = "failed"
    STALLED = "stalled"
    REMOVED = "removed"
    UNKNOWN = "unknown"


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class JobEvent(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One BullMQ event of one job (or of the queue: `job_id` is then empty), enriched from the job's hash.

    id: identity, unique for ever: `source:queue:epoch:stream_id`, for a gap `source:queue:epoch:g:from_id`.
    ts: Redis server's clock (stream entries) in ms; so are started_at and ended_at, of the attempt.
    event: BullMQ's own word, or Tocsin's: `gap`, `stream-reset`, `gone`.
    state: the job's state after the event; `retrying` marks a failed attempt that BullMQ announces only as a delay.
    attempt: 1-based number of the attempt the event belongs to; 0 = none was started, or unknown.
    added_at: ms, 0 = unknown. A job is (source, queue, job_id, added_at): ids restart after obliterate.
    stack: one attempt's stack frames, newest call first, as the runtime printed them.
    data, result, progress: JSON text, redacted, cut with a marker.
    lost: entries trimmed before they could be read (`gap` records only), counted exactly; they lay between the stream
    ids gap_from (the last one read) and gap_to (the first one still there), both exclusive.
    enriched: False where the job's hash was gone when the event was read.
    backfill: True for what was in the stream before Tocsin first saw the queue: history, never an alarm.
    """

    v: int
    id: str
    ts: int
    env: str
    source: str
    queue: str
    epoch: int
    stream_id: str
    event: str
    level: Level = Level.INFO
    state: State = State.UNKNOWN
    prev: str = ""
    job_id: str = ""
    job_name: str = ""
    added_at: int = 0
    attempt: int = 0
    max_attempts: int = 0
    error: str = ""
    error_type: str = ""
    stack: list[str] = []
    fingerprint: str = ""
    data: str = ""
    result: str = ""
    progress: str = ""
    wait_ms: int | None = None
    run_ms: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    delay_until: int | None = None
    worker: str = ""
    parent: str = ""
    scheduler: str = ""
    trace_id: str = ""
    message: str = ""
    enriched: bool = True
    rebuilt: bool = False
    backfill: bool = False
    lost: int = 0
    gap_from: str = ""
    gap_to: str = ""


class LogLine(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One line of a job's log (`service` is empty), or of one of Tocsin's own services.

    line: 0-based index in the job's log; orders the lines of one job. BullMQ keeps no time for a line: ts is when the
    bridge read it, or the end of the attempt if that was earlier (Redis clock).
    """

    v: int
    id: str
    ts: int
    level: Level = Level.INFO
    message: str = ""
    env: str = ""
    service: str = ""
    source: str = ""
    queue: str = ""
    epoch: int = 0
    job_id: str = ""
    job_name: str = ""
    added_at: int = 0
    attempt: int = 0
    line: int = 0
    trace_id: str = ""
    fields: str = ""
    backfill: bool = False


class QueueSnapshot(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A queue's counts, read from Redis in one pipeline at `ts` (Redis clock, ms).

    waiting: includes BullMQ 5's `paused` list. workers: None = Redis refused CLIENT LIST: unknown, never 0.
    oldest_waiting_seconds: age of the job next in line; None = nothing waits, or its hash is gone.
    max_len_events: the bound of the event stream: what survives while nobody reads.
    """

    v: int
    ts: int
    env: str
    source: str
    queue: str
    waiting: int = 0
    active: int = 0
    delayed: int = 0
    prioritized: int = 0
    waiting_children: int = 0
    completed: int = 0
    failed: int = 0
    is_paused: bool = False
    workers: int | None = None
    oldest_waiting_seconds: float | None = None
    max_len_events: int | None = None
    bullmq_version: str = ""
    sources_queues: int = 0
    """Queues known at this source when the snapshot was taken: a reader knows when it has seen them all."""


class SchedulerSnapshot(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A job scheduler as stored in Redis. next_run: ms; in the past when no worker starts the current iteration."""

    v: int
    ts: int
    env: str
    source: str
    queue: str
    scheduler: str
    job_name: str = ""
    pattern: str = ""
    every: int | None = None
    timezone: str = ""
    next_run: int | None = None
    iteration: int | None = None


class Cursor(msgspec.Struct, kw_only=True):
    """How far the bridge has read one queue's stream.

    last_id: the last entry relayed. pos: entries of this stream ever passed, read or counted lost.
    epoch: how many times the stream was deleted and begun anew. baseline_id: entries up to this one are backfill.
    """

    v: int
    ts: int
    site: str
    source: str
    queue: str
    last_id: str
    pos: int
    epoch: int
    baseline_id: str


class LogCursor(msgspec.Struct, kw_only=True):
    """How many lines of an unfinished job's log were relayed; a tombstone when the job has ended."""

    v: int
    ts: int
    lines: int


class ScanCursor(msgspec.Struct, kw_only=True):
    """When a source was last scanned to the end by the owner of this partition (Redis clock before the scan, ms).

    A queue found later that was not in that scan was created after it: its events are live, not backfill.
    """

    v: int
    ts: int


class DeadLetter(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What could not be decoded or stored.

    origin: `redis:<source>:<queue>:<entry id>` or `kafka:<topic>:<partition>:<offset>`.
    body: decoded with errors=replace, redacted, cut at 64 KiB; sha256 and length are of the whole.
    """

    v: int
    id: str
    ts: int
    service: str
    reason: str
    origin: str
    body: str
    sha256: str
    length: int


class BadRecord(ValueError):
    """The bytes are no record of this contract; the same bytes will never be. Dead-letter them."""


T = TypeVar("T", bound=msgspec.Struct)

_encoder = msgspec.json.Encoder()


@cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def encode(record: msgspec.Struct) -> bytes:
    """Encode as one line of JSON. Lone surrogates must have been replaced before (msgspec refuses them)."""
    return _encoder.encode(record)


def decode(kind: type[T], body: bytes) -> T:
    """Decode one record; raise BadRecord with the reason if it is not a `kind` of a version we read.

    What passes is UTF-8 throughout, unknown fields too (msgspec skips those unread): its bytes may be sent on as text.
    """
    try:
        body.decode()
        record: T = _decoder(kind).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"not a {kind.__name__}: {error}") from error
    version = getattr(record, "v", None)
    if version != VERSION:
        raise BadRecord(f"{kind.__name__} of contract version {version}; this release reads {VERSION}")
    return record
