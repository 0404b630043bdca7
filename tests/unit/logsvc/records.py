"""Kafka records and wire structs for the unit tests of logsvc."""

from dataclasses import dataclass
from typing import Any

from tocsin.events import VERSION, JobEvent, LogLine, encode

NOW_MS = 1_795_000_000_000


@dataclass(frozen=True)
class FakeRecord:
    offset: int
    value: bytes | None
    timestamp: int = NOW_MS
    key: bytes | None = None


def event(number: int = 0, **fields: Any) -> JobEvent:
    known: dict[str, Any] = {
        "v": VERSION,
        "id": f"main:orders:0:{number}-0",
        "ts": NOW_MS + number,
        "env": "prod",
        "source": "main",
        "queue": "orders",
        "epoch": 0,
        "stream_id": f"{number}-0",
        "event": "added",
        "job_id": str(number),
    }
    return JobEvent(**(known | fields))


def line(number: int = 0, **fields: Any) -> LogLine:
    known: dict[str, Any] = {"v": VERSION, "id": f"main:orders:{number}:l", "ts": NOW_MS + number, "message": "hello"}
    return LogLine(**(known | fields))


def record(offset: int, **fields: Any) -> FakeRecord:
    return FakeRecord(offset, encode(event(offset, **fields)))
