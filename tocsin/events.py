"""The wire contract: one struct per Kafka topic, flat JSON, one vocabulary for Kafka, ClickHouse and HTTP.

Field names are ClickHouse's column names. Times are integers, milliseconds since 1970 UTC. A field that is absent has
its default; a consumer ignores fields it does not know, so fields may be added within one `v`.
"""

from collections.abc import Sequence
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


class JobEvent(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """One BullMQ event of one job (or of the queue: `job_id` is then empty), enriched from the job's hash.

    id: identity, unique for ever: `source:queue:epoch:stream_id`, for a gap `source:queue:epoch:g:from_id`.
    ts: Redis server's clock (stream entries) in ms; so are started_at and ended_at, of the attempt.
    event: BullMQ's own word, or Tocsin's: `gap`, `stream-reset`, `left-out`, `gone`; `reconciled`: what Redis holds was
    found to differ from what was told last (prev), and no event said so; `message` is the evidence, ts when it was
    found.
    state: the job's state after the event; `retrying` marks a failed attempt that BullMQ announces only as a delay.
    attempt: 1-based number of the attempt the event belongs to; 0 = none was started, or unknown.
    added_at: ms, 0 = unknown. A job is (source, queue, job_id, added_at): ids restart after obliterate.
    stack: one attempt's stack frames, newest call first, as the runtime printed them.
    data, result, progress: JSON text, redacted, cut with a marker.
    lost: entries trimmed before they could be read (`gap` records only), counted exactly; they lay between the stream
    ids gap_from (the last one read) and gap_to (the first one still there), both exclusive.
    enriched: False where the job's hash was gone when the event was read, or no longer told this run from another: then
    attempt, state or error is a guess, or missing.
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
    rebuilt: read after a gap, in which the job ended.
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
    rebuilt: bool = False


class QueueSnapshot(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A queue's counts, read from Redis in one pipeline at `ts` (Redis clock, ms). None = unknown, never 0.

    A tombstone: the queue is gone.

    waiting: includes BullMQ 5's `paused` list. workers: None = Redis refused CLIENT LIST.
    oldest_waiting_seconds: how long the job has waited that has waited longest of those that are ready: since its last
    `waiting` event; where the bridge saw none, since it was due; if it was tried before, since it was first seen to
    wait. None = nothing waits, or what waits was gone when it was looked at.
    max_len_events: the bound of the event stream: what survives while nobody reads.
    overdue: delayed jobs that were due more than 5 s ago: no worker has moved them.
    longest_active_*: the job that has run for longest; "" and None = none runs, or it ended while it was looked at.
    is_longest_active_locked: False = its lock is gone: its worker is dead, or too busy to renew it.
    is_rate_limited: None = only the workers know their limit, and no more than a window is open;
    rate_limit_seconds: until the window ends. rate_limit_jobs, rate_limit_ms, concurrency: the queue's global limits.
    completed_per_minute, failed_per_minute: of the last 60 s, as relayed, without backfill; None in the first minute,
    and while the bridge is behind. last_event_at: the newest event relayed since this replica began, ms.
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
    overdue: int | None = None
    longest_active_id: str = ""
    longest_active_name: str = ""
    longest_active_seconds: float | None = None
    is_longest_active_locked: bool | None = None
    is_rate_limited: bool | None = None
    rate_limit_seconds: float | None = None
    rate_limit_jobs: int | None = None
    rate_limit_ms: int | None = None
    concurrency: int | None = None
    completed_per_minute: int | None = None
    failed_per_minute: int | None = None
    last_event_at: int | None = None


class SchedulerSnapshot(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A job scheduler as it stood in Redis at `ts`, when it was last seen (Redis clock, ms).

    next_run: ms; in the past while no worker starts the current iteration. is_overdue: by more than 5 s, then
    overdue_seconds says how much. iteration: counts from 1, up to max_iterations where there is a bound.
    is_legacy: made by `repeat` of BullMQ 5 or older, which has no id of its own and no iteration.
    data: the template's, JSON text, redacted, cut with a marker.
    """

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
    is_overdue: bool = False
    overdue_seconds: float = 0
    max_iterations: int | None = None
    starts_at: int | None = None
    ends_at: int | None = None
    is_legacy: bool = False
    data: str = ""


class SourceSnapshot(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The Redis of one source at `ts` (its own clock, ms), by one replica. None = it does not say.

    is_reachable: False = it did not answer; then nothing else is known. ping_ms: median of a few round trips. Of a
    cluster's primaries: the memory of the fullest, the clients of the most crowded, evictions and commands of all, else
    what is worst; one that does not answer makes it unreachable.
    max_memory_bytes: 0 = no bound. evicted_keys: since that Redis began; queues lose jobs when it grows.
    policy: anything but `noeviction` may throw jobs away.
    """

    v: int
    ts: int
    env: str
    source: str
    is_reachable: bool = True
    ping_ms: float | None = None
    queues: int | None = None
    server: str = ""
    role: str = ""
    memory_bytes: int | None = None
    max_memory_bytes: int | None = None
    policy: str = ""
    evicted_keys: int | None = None
    clients: int | None = None
    max_clients: int | None = None
    blocked_clients: int | None = None
    commands_per_second: int | None = None
    is_loading: bool | None = None
    rdb_saved_at: int | None = None
    is_rdb_ok: bool | None = None
    is_aof_on: bool | None = None
    is_aof_ok: bool | None = None


class Cursor(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How far the bridge has read one queue's stream.

    last_id: the last entry relayed. pos: entries of this stream ever passed, read or counted lost.
    epoch: grows each time the stream is deleted and begun anew. baseline_id: entries up to this one are backfill.
    is_unread: the queue was found and its stream never read (refused): what was trimmed until then is not lost.
    gaps: times (from, to; Redis clock, ms) of entries lost and not yet rebuilt from the jobs' hashes.
    is_gone: the queue has a `gone` record, and its stream is there still: a queue made again under the same name goes
    on from here. Without its stream a queue that is gone has no cursor: see ScanCursor. jobs_added: the queue's own
    counter when it was looked at last; one that has fallen is another queue's. is_paused: as was told last, or
    found when the queue was met; None = unknown.
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
    is_unread: bool = False
    gaps: list[tuple[int, int]] = []
    is_gone: bool = False
    jobs_added: int = 0
    is_paused: bool | None = None


class LogCursor(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How many lines of a job's log were relayed. last: digests of the last 16 of them, 8 bytes each, oldest first.

    It outlives the job's end: a retry by hand writes on. A tombstone follows when the job is removed or its id used
    again, when the stream is begun anew, and when the queue has too many such places.
    """

    v: int
    ts: int
    lines: int
    last: bytes = b""


OpenStored = tuple[str, int, State, str, int]
"""A job that has not ended: its id, when it was added, the state told last, its name, its priority (-1 = unknown)."""


class OpenCursor(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What was told last of jobs that have not ended, as of a place in their queue's stream (last_id, pos, epoch).

    It holds a thousand jobs at most; more of the same moment (`ts`) may follow under keys of their own. It may be some
    seconds older than the queue's cursor: the entries between tell what became of them. orphans: jobs of a stream
    before this one, of which nothing is known yet.
    """

    v: int
    ts: int
    last_id: str
    pos: int
    epoch: int
    jobs: list[OpenStored] = []
    orphans: list[OpenStored] = []


class ScanCursor(msgspec.Struct, omit_defaults=True, kw_only=True):
    """When a source was last scanned to the end by the owner of this partition (Redis clock before the scan, ms).

    A queue found later that was not in that scan was created after it: its events are live, not backfill. That holds
    only under the same scope, a digest of the settings that say which queues are watched. ts: 0 = none yet.
    past_epoch: the highest epoch of those queues of this partition that are gone and have no cursor any more. Queues
    without a cursor begin above it, so that one made again under an old name uses no identity of an event twice.
    """

    v: int
    ts: int
    scope: str = ""
    past_epoch: int = 0


class Outcome(StrEnum):
    """What became of one job of an action. refused: its state, or a worker's lock, forbids it."""

    DONE = "done"
    NOT_FAILED = "not_failed"
    NOT_DELAYED = "not_delayed"
    GONE = "gone"
    REFUSED = "refused"
    ERROR = "error"


class JobOutcome(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One job of an action. message: why, where that is not plain."""

    job_id: str
    outcome: Outcome
    message: str = ""


class PlannedJob(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One job that an action is about.

    stamp: tells the state it was found in from a later one of the same kind (when it failed, when it is due, when it
    was added); it is acted on only while that is so. outcome: it was decided at once that it will not be.
    """

    job_id: str
    stamp: str = ""
    outcome: JobOutcome | None = None


class ActionKind(StrEnum):
    """claim: `by` takes the request up. plan, results: a page of it. release: `by` leaves it. end: all is done."""

    CLAIM = "claim"
    PLAN = "plan"
    RESULTS = "results"
    RELEASE = "release"
    END = "end"


class ActionRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One step of an action on jobs or a queue; the steps of a request, in the log's order, are its state and audit.

    by: one handling of the request by one replica, or a part of it. supersedes: the `by` whose claim this one follows,
    "" = nobody's; a claim that names another than the present holder is void, and so is every step of who does not hold
    the request.
    is_cut_off: it leaves in the middle of a page. digest: of what was asked for. wanted: the filter as JSON, "" where
    job ids were given. page: 0-based, of `pages`. count: jobs acted on.
    """

    v: int
    ts: int
    kind: ActionKind
    request_id: str
    by: str
    supersedes: str = ""
    is_cut_off: bool = False
    digest: str = ""
    user_id: str = ""
    action: str = ""
    env: str = ""
    source: str = ""
    queue: str = ""
    wanted: str = ""
    page: int = 0
    pages: int = 0
    planned: list[PlannedJob] = []
    results: list[JobOutcome] = []
    count: int = 0


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


def encode_all(records: Sequence[msgspec.Struct]) -> list[bytes]:
    """Encode many, each as `encode` does: in one go, which takes a third less."""
    return _encoder.encode_lines(records).split(b"\n")[:-1]


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
