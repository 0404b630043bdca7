"""A journal row as HTTP and the live stream show it: the wire contract's fields, with ts in RFC 3339."""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from logsvc.cursors import RowKey, pack
from tocsin.events import JobEvent, LogLine
from tocsin.times import rfc3339

WARNING_EVENTS = frozenset({"stalled", "stream-reset"})
ERROR_EVENTS = frozenset({"failed", "retries-exhausted", "gap"})


class Row(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One event or log line. What is empty is left out. Times other than ts are ms, as in the wire contract.

    cursor: its place in `/api/v1/logs`: pass it as `cursor` to go on from here to older rows.
    """

    id: str
    ts: str
    kind: str
    level: str
    cursor: str = ""
    env: str = ""
    service: str = ""
    source: str = ""
    queue: str = ""
    epoch: int = 0
    stream_id: str = ""
    job_id: str = ""
    job_name: str = ""
    added_at: int = 0
    event: str = ""
    state: str = ""
    prev: str = ""
    attempt: int = 0
    max_attempts: int = 0
    message: str = ""
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
    line: int = 0
    fields: str = ""
    enriched: bool = True
    rebuilt: bool = False
    backfill: bool = False
    lost: int = 0


_STORED = tuple(name for name in Row.__struct_fields__ if name != "cursor")

COLUMNS = ", ".join((*_STORED, "kafka_partition", "kafka_offset"))
"""What to select from the journal to make Rows."""

_encoder = msgspec.json.Encoder()


def row_of(stored: Mapping[str, Any]) -> Row:
    """Make a Row of a journal row selected by COLUMNS."""
    ts = int(stored["ts"])
    key = RowKey(ts, str(stored["kind"]), int(stored["kafka_partition"]), int(stored["kafka_offset"]))
    values: dict[str, Any] = {name: stored[name] for name in _STORED}
    values.update(ts=rfc3339(ts), cursor=pack(key))
    return Row(**values)


def level_of(event: JobEvent) -> str:
    """How loud an event is; what its producer said, unless it said nothing. The schema's default says the same."""
    if event.level != "info":
        return event.level
    if event.event in ERROR_EVENTS:
        return "error"
    if event.event in WARNING_EVENTS or event.state == "retrying":
        return "warn"
    return "debug" if event.event == "progress" else "info"


def live_row(record: JobEvent | LogLine, value: bytes, partition: int, offset: int) -> bytes:
    """Encode a record just read from Kafka as a Row, reusing its JSON; value is what record was decoded from.

    The bytes `"ts":<number>` can only be the key: inside a JSON string its quotes would be escaped.
    """
    kind = "event" if isinstance(record, JobEvent) else "log"
    cursor = base64.urlsafe_b64encode(b'[%d,"%s",%d,%d]' % (record.ts, kind.encode(), partition, offset)).rstrip(b"=")
    whole = value[value.index(b"{") + 1 :]
    body = whole.replace(b'"ts":%d,' % record.ts, b"", 1)
    if len(body) == len(whole) or b'"cursor"' in body or b'"kind"' in body:
        return _slow_row(record, kind, cursor.decode())
    head = b'{"kind":"%s","cursor":"%s","ts":"%s",' % (kind.encode(), cursor, rfc3339(record.ts).encode())
    if b'"level":' not in body:
        level = level_of(record) if isinstance(record, JobEvent) else record.level
        head += b'"level":"%s",' % level.encode()
    return head + body


def _slow_row(record: JobEvent | LogLine, kind: str, cursor: str) -> bytes:
    """The same for JSON that is not laid out as our encoder would."""
    known: dict[str, Any] = {name: getattr(record, name) for name in record.__struct_fields__ if name in _STORED}
    known["level"] = level_of(record) if isinstance(record, JobEvent) else str(record.level)
    known.update(ts=rfc3339(record.ts), kind=kind, cursor=cursor)
    return _encoder.encode(Row(**known))
