"""The SQL of the tables."""

import re

import msgspec

from logsvc.rows import COLUMNS
from logsvc.schema.migrate import migration_sql
from logsvc.schema.tables import statements
from tocsin.events import JobEvent, LogLine, QueueSnapshot, SchedulerSnapshot, SourceSnapshot


def table(name: str) -> str:
    sql = migration_sql()
    return sql[sql.index(f"CREATE TABLE IF NOT EXISTS {name}\n") :].partition("ENGINE")[0]


def has_all(name: str, *structs: type[msgspec.Struct]) -> bool:
    added = re.findall(rf"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS (\w+)", migration_sql())
    text = table(name) + "".join(f"\n    {column} " for column in added)
    fields = {field for struct in structs for field in struct.__struct_fields__}
    return all(f"\n    {field} " in text for field in fields - {"v", "sources_queues"})


def test_the_tables_have_every_column_of_the_contract() -> None:
    assert has_all("journal", JobEvent, LogLine)
    assert has_all("queue_snapshots", QueueSnapshot)
    assert has_all("scheduler_snapshots", SchedulerSnapshot)
    assert has_all("source_snapshots", SourceSnapshot)


def test_every_column_we_ask_for_is_there() -> None:
    text = table("journal")
    assert all(f"\n    {column} " in text for column in COLUMNS.split(", "))


def test_a_dba_gets_all_of_it_with_the_retention_asked_for() -> None:
    sql = migration_sql(7)
    assert "toIntervalDay(7)" in sql
    assert "${" not in sql
    assert len(statements(sql)) == 47


def test_on_a_cluster_every_table_is_replicated_and_every_change_goes_to_all_servers() -> None:
    changes = [one for one in statements(migration_sql(7, cluster="main")) if not one.startswith("INSERT")]
    assert all(" ON CLUSTER 'main'" in one.splitlines()[0] for one in changes)
    engines = re.findall(r"ENGINE = (\w+)", "\n".join(changes))
    assert set(engines) == {"ReplicatedMergeTree", "ReplicatedReplacingMergeTree"}
    assert not any("non_replicated" in one for one in changes)
    assert not any("CLUSTER" in one or "Replicated" in one for one in statements(migration_sql(7)))


def test_comments_and_semicolons_at_line_ends_part_a_file() -> None:
    assert statements("-- a;\nSELECT ';';\n  -- b\nSELECT 2;\n") == ["SELECT ';'", "SELECT 2"]
