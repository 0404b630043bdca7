"""The golden samples: `samples/<struct>.<kind>.json`, one record of the wire contract each, as it travels."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tocsin.events import (
    ActionRecord,
    Cursor,
    DeadLetter,
    JobEvent,
    LogCursor,
    LogLine,
    OpenCursor,
    QueueSnapshot,
    ScanCursor,
    SchedulerSnapshot,
    SourceSnapshot,
)

STRUCTS: Mapping[str, type[msgspec.Struct]] = {
    "job_event": JobEvent,
    "log_line": LogLine,
    "queue_snapshot": QueueSnapshot,
    "scheduler_snapshot": SchedulerSnapshot,
    "source_snapshot": SourceSnapshot,
    "cursor": Cursor,
    "log_cursor": LogCursor,
    "open_cursor": OpenCursor,
    "scan_cursor": ScanCursor,
    "dead_letter": DeadLetter,
    "action_record": ActionRecord,
}


@dataclass(frozen=True)
class Sample:
    """name: `<struct>.<kind>`."""

    name: str
    struct: type[msgspec.Struct]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        return json.loads(self.body)

    def changed(self, **fields: Any) -> bytes:
        """The sample with some fields set otherwise."""
        return json.dumps(self.fields | fields).encode()

    def without(self, field: str) -> bytes:
        """The sample with one field left out."""
        return json.dumps({name: value for name, value in self.fields.items() if name != field}).encode()


def samples() -> list[Sample]:
    """Every sample, by name."""
    paths = sorted((Path(__file__).parent / "samples").glob("*.json"))
    return [Sample(path.stem, STRUCTS[path.stem.partition(".")[0]], path.read_bytes()) for path in paths]


def sample(name: str) -> Sample:
    """One sample."""
    return next(one for one in samples() if one.name == name)
