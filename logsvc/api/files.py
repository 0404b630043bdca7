"""Rows as files: CSV for a spreadsheet, NDJSON for programs. Pure.

The last line of either says whether it is all: a file without one was cut off on its way.
"""

import csv
import io
from collections.abc import Sequence
from typing import Protocol

import msgspec

from logsvc.rows import Row

COLUMNS = (
    "ts",
    "kind",
    "level",
    "env",
    "service",
    "source",
    "queue",
    "job_id",
    "job_name",
    "event",
    "state",
    "attempt",
    "max_attempts",
    "message",
    "error",
    "error_type",
    "stack",
    "fingerprint",
    "data",
    "result",
    "progress",
    "wait_ms",
    "run_ms",
    "worker",
    "parent",
    "scheduler",
    "trace_id",
    "line",
    "lost",
    "enriched",
    "rebuilt",
    "backfill",
    "fields",
    "id",
)

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet takes a cell that begins so for a formula, and runs it; the last four are full-width = + - @."""

_encoder = msgspec.json.Encoder()


class Writing(Protocol):
    """How rows are written. end: incomplete: why it is not all; "" = it is."""

    media_type: str
    suffix: str

    def begin(self) -> bytes: ...
    def rows(self, rows: Sequence[Row]) -> bytes: ...
    def end(self, count: int, incomplete: str) -> bytes: ...


class Csv:
    """One line a row under a line of names; a cell that could be a formula has an apostrophe before it."""

    media_type = "text/csv; charset=utf-8"
    suffix = "csv"

    def begin(self) -> bytes:
        return _lines([COLUMNS])

    def rows(self, rows: Sequence[Row]) -> bytes:
        return _lines([[_cell(getattr(row, name)) for name in COLUMNS] for row in rows])

    def end(self, count: int, incomplete: str) -> bytes:
        said = f"# incomplete: {count} rows, then: {incomplete}" if incomplete else f"# complete: {count} rows"
        return _lines([[said]])


class Ndjson:
    """One JSON object a row, as `/api/v1/logs` has it; the last one has the single key `end`."""

    media_type = "application/x-ndjson"
    suffix = "ndjson"

    def begin(self) -> bytes:
        return b""

    def rows(self, rows: Sequence[Row]) -> bytes:
        return b"".join(_encoder.encode(row) + b"\n" for row in rows)

    def end(self, count: int, incomplete: str) -> bytes:
        said = {"is_complete": not incomplete, "rows": count} | ({"detail": incomplete} if incomplete else {})
        return _encoder.encode({"end": said}) + b"\n"


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = "\n".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]  # whatever the list holds
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(errors="replace")
