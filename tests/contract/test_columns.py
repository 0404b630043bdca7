"""ClickHouse's columns are the contract's fields: what travels is stored under the same name."""

import re
from pathlib import Path

import msgspec
import pytest

from tocsin.events import JobEvent, LogLine, QueueSnapshot, SchedulerSnapshot, SourceSnapshot

SCHEMA = Path(__file__).parents[2] / "logsvc" / "schema"
CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)\s*\((.*?)^\)", re.DOTALL | re.MULTILINE)
ADD = re.compile(r"ALTER TABLE (\w+)\s+ADD COLUMN IF NOT EXISTS (\w+) ([A-Z]\w+)")
COLUMN = re.compile(r"^    (\w+) ([A-Z]\w+(?:\([^\n]*?\))?)", re.MULTILINE)

NOT_STORED = {"v"}
"""The contract's version is checked when a record is read; what is stored is of one version."""


def columns() -> dict[str, dict[str, str]]:
    """Table -> column -> type, from the SQL as it is run."""
    tables: dict[str, dict[str, str]] = {}
    for path in sorted(SCHEMA.glob("*.sql")):
        text = re.sub(r"--[^\n]*|\$\{on_cluster\}", "", path.read_text())
        for table, body in CREATE.findall(text):
            tables[table] = {
                name: kind for name, kind in COLUMN.findall(body) if name not in ("INDEX", "PROJECTION", "CONSTRAINT")
            }
        for table, name, kind in ADD.findall(text):
            tables[table][name] = kind
    return tables


@pytest.mark.parametrize(
    ("struct", "table"),
    [
        (JobEvent, "journal"),
        (LogLine, "journal"),
        (QueueSnapshot, "queue_snapshots"),
        (SchedulerSnapshot, "scheduler_snapshots"),
        (SourceSnapshot, "source_snapshots"),
    ],
)
def test_a_table_has_a_column_for_every_field(struct: type[msgspec.Struct], table: str) -> None:
    assert set(struct.__struct_fields__) - NOT_STORED - set(columns()[table]) == set()


@pytest.mark.parametrize("table", ["journal", "queue_snapshots", "scheduler_snapshots", "source_snapshots"])
def test_times_are_stored_as_the_milliseconds_they_travel_as(table: str) -> None:
    assert columns()[table]["ts"].startswith("Int64")


@pytest.mark.parametrize(
    ("struct", "table"),
    [
        (JobEvent, "journal"),
        (QueueSnapshot, "queue_snapshots"),
        (SchedulerSnapshot, "scheduler_snapshots"),
        (SourceSnapshot, "source_snapshots"),
    ],
)
def test_what_may_be_unknown_may_be_null(struct: type[msgspec.Struct], table: str) -> None:
    unknown = {name for name, default in _defaults(struct).items() if default is None}
    nullable = {name for name, kind in columns()[table].items() if "Nullable" in kind}
    assert unknown == nullable


def test_a_missing_field_means_the_same_in_clickhouse() -> None:
    """`enriched` and `is_reachable` are the flags that are true where a record leaves them out."""
    for struct, flag, file in (
        (JobEvent, "enriched", "0001_journal.sql"),
        (SourceSnapshot, "is_reachable", "0005_sources.sql"),
    ):
        flags = {name: default for name, default in _defaults(struct).items() if isinstance(default, bool)}
        assert [name for name, default in flags.items() if default] == [flag]
        assert f"{flag} Bool DEFAULT true" in (SCHEMA / file).read_text()


def _defaults(struct: type[msgspec.Struct]) -> dict[str, object]:
    return {field.encode_name: field.default for field in msgspec.structs.fields(struct) if not field.required}
