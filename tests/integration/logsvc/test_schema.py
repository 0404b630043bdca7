"""The tables: those of every release come to this one's, aggregates equal the rows, searches are indexed."""

import asyncio
import json
import math
import random
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from logsvc.coverage import GAP_TS
from logsvc.errors import LogsvcError
from logsvc.schema import capabilities, migrate, tables
from logsvc.schema.words import SEARCHED, SearchIndex
from logsvc.store import Store
from tests.integration.logsvc.conftest import store_settings
from tocsin.breakers import Breakers

T0 = 1_795_000_000_000
DAY = 24 * 3600 * 1000
REVISIONS = [version for version, _ in tables.migrations(3650)]

DURATIONS = (
    "SELECT {key} AS key, count() AS n, countIf(event = 'added') AS added, countIf(event = 'completed') AS done,"
    " countIf(event = 'failed') AS failed, countIf(state = 'retrying') AS retried,"
    " count(run_ms) AS runs, sum(run_ms) AS total, max(run_ms) AS most,"
    " finalizeAggregation(quantilesBFloat16State(0.5, 0.9, 0.95, 0.99)(run_ms)) AS run, max(wait_ms) AS wait_most,"
    " finalizeAggregation(quantilesBFloat16State(0.5, 0.9, 0.95, 0.99)(wait_ms)) AS wait"
    " FROM journal WHERE intDiv(ts, 900000) > 0 AND env = 'prod' GROUP BY key ORDER BY key"
)
AT = "if(empty(fingerprint), 0, intDiv(ts, 60000))"
ERRORS = (
    "SELECT fingerprint, {key} AS key, count() AS n, min(ts) AS first_seen, max(ts) AS last_seen,"
    " argMax(error, ts) AS latest, argMax(error_type, ts) AS type, argMax(job_id, ts) AS job"
    f" FROM journal WHERE fingerprint != '' AND {AT} > 0 AND event = 'failed' AND NOT backfill"
    " GROUP BY fingerprint, key ORDER BY fingerprint, key"
)
AGGREGATES = [
    "SELECT intDiv(ts, 60000) AS minute, state, level, count() AS n, sum(lost) AS lost FROM journal"
    " WHERE intDiv(ts, 60000) > 0 AND source = 'main' GROUP BY minute, state, level ORDER BY minute, state, level",
    f"SELECT {GAP_TS} AS at, queue, count() AS n, sum(lost) AS lost FROM journal"
    f" WHERE intDiv(ts, {DAY}) > 0 AND {GAP_TS} > 0 AND source = 'main' GROUP BY at, queue ORDER BY at, queue",
    *(DURATIONS.format(key=key) for key in ("queue", "intDiv(ts, 900000)", "intDiv(intDiv(ts, 900000), 4)")),
    *(ERRORS.format(key=key) for key in ("queue", "state", f"intDiv({AT}, 60)")),
]
"""Questions as the API may ask them, each answered from a projection."""


def rows(first: int, count: int) -> bytes:
    """Events of several days, every kind of them, as they come from Kafka."""
    dice = random.Random(first)
    lines: list[bytes] = []
    for offset in range(first, first + count):
        event = dice.choice(["added", "active", "completed", "completed", "failed", "gap"])
        row: dict[str, Any] = {
            "kafka_cluster": "c",
            "kafka_topic": "t.jobs",
            "kafka_partition": 0,
            "kafka_offset": offset,
            "kind": "event",
            "id": f"i{offset}",
            "ts": T0 + offset * 977 - offset % 3 * DAY,
            "env": "prod",
            "source": "main",
            "queue": f"q{offset % 5}",
            "event": event,
            "state": {"added": "waiting", "gap": "unknown"}.get(event, event),
            "job_id": str(offset),
            "job_name": f"job-{offset % 3}",
        }
        if event == "active":
            row["wait_ms"] = dice.randrange(10_000)
        if event in ("completed", "failed"):
            row["run_ms"] = int(dice.lognormvariate(6, 2))
        if event == "failed":
            kind = dice.randrange(4)
            row |= {"error": f"Timed out № {offset}", "error_type": "TimeoutError", "fingerprint": f"f{kind}"}
        if event == "gap":
            row["lost"] = offset
        lines.append(json.dumps(row).encode())
    return b"\n".join(lines)


async def aggregates_equal_the_rows(store: Store) -> None:
    for sql in AGGREGATES:
        projected = await store.query(sql, settings={"force_optimize_projection": 1})
        assert projected, sql
        from_rows = await store.query(sql, settings={"optimize_use_projections": 0})
        assert str(projected) == str(from_rows), sql  # as text: the quantiles of nothing are NaN


async def count(store: Store) -> int:
    return int((await store.query("SELECT count() AS n FROM journal"))[0]["n"])


@pytest.fixture
async def bare(chdb_path: Path, chdb_database: str) -> AsyncGenerator[Store]:
    """A ClickHouse that holds nothing yet."""
    settings = store_settings(chdb_path, chdb_database)
    one = Store(settings, Breakers(settings, CollectorRegistry()))
    await one.create_database()
    yield one
    await one.command(f"DROP DATABASE {chdb_database}")
    await one.close()


@pytest.mark.parametrize("revision", REVISIONS)
async def test_tables_of_every_revision_come_to_this_one_with_their_rows(bare: Store, revision: str) -> None:
    await bare.command(tables.rendered(tables.LEDGER, ""))
    for version, text in tables.migrations(3650):
        if version <= revision:
            await migrate.apply_file(bare, version, text)
    await bare.insert("journal", rows(0, 1000), "old")
    await migrate.apply(bare, 3650)
    await bare.insert("journal", rows(1000, 1000), "new")
    assert await count(bare) == 2000
    await bare.command("OPTIMIZE TABLE journal FINAL")
    await bare.insert("journal", rows(0, 1000), "old")  # its token is remembered all along
    assert await count(bare) == 2000
    await aggregates_equal_the_rows(bare)
    found = await bare.query(f"SELECT id FROM journal WHERE hasToken({SEARCHED}, '4242') OR job_id = '17' ORDER BY id")
    assert "i17" in [row["id"] for row in found]
    ledger = await bare.query("SELECT version, count() AS n FROM schema_migrations GROUP BY version ORDER BY version")
    assert [(row["version"], row["n"]) for row in ledger] == [(version, 1) for version in REVISIONS]


async def test_two_replicas_may_migrate_at_once_and_again(bare: Store) -> None:
    await asyncio.gather(*[migrate.apply(bare, 30) for _ in range(2)])
    await migrate.apply(bare, 30)
    await bare.insert("journal", rows(0, 100), "t")
    assert await count(bare) == 100


async def test_what_a_dba_is_given_makes_the_tables_that_need_no_migration(
    bare: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a user without any right to CREATE or ALTER: after the DBA's part there is nothing left to change."""
    for statement in tables.statements(migrate.migration_sql(30)):
        await bare.command(statement)

    async def refuse(sql: str, *_: object, **__: object) -> None:
        raise LogsvcError(f"not allowed: {sql}")

    monkeypatch.setattr(bare, "command", refuse)
    await migrate.apply(bare, 30)
    assert bare.search_index is SearchIndex.TEXT
    await migrate.apply(bare, 7)
    assert capsys.readouterr().out.count("MODIFY TTL") >= len(tables.TABLES), "says what a DBA should run, and goes on"


async def test_durations_are_exact_and_their_quantiles_within_one_percent(store: Store) -> None:
    await store.insert("journal", rows(0, 5000), "t")
    [row] = await store.query(
        "SELECT finalizeAggregation(quantilesBFloat16State(0.5, 0.9, 0.95, 0.99)(run_ms)) AS told, sum(run_ms) AS total"
        " FROM journal WHERE intDiv(ts, 900000) > 0",
        settings={"force_optimize_projection": 1},
    )
    found = await store.query("SELECT run_ms FROM journal WHERE isNotNull(run_ms) ORDER BY run_ms")
    true = [int(one["run_ms"]) for one in found]
    assert row["total"] == sum(true)
    for share, told in zip((0.5, 0.9, 0.95, 0.99), row["told"], strict=True):
        rank = share * (len(true) - 1)
        assert 0.99 * true[math.floor(rank)] <= told <= 1.01 * true[math.ceil(rank)]


@pytest.mark.parametrize("kind", list(SearchIndex))
async def test_a_search_finds_the_same_rows_with_every_index(store: Store, kind: SearchIndex) -> None:
    await store.insert("journal", rows(0, 2000), "before")
    await migrate.apply(store, 3650, kind)
    assert store.search_index is kind
    lines = {"message": "Überraschung: card 4711 declined", "error": "ETIMEDOUT", "data": '{"email":"Ann@example.com"}'}
    for name, text in lines.items():
        await store.insert("journal", json.dumps({"ts": T0, "kind": "log", "id": name, name: text}).encode(), name)
    for word, ids in (("überraschung", ["message"]), ("etimedout", ["error"]), ("ann", ["data"])):
        found = await store.query(f"SELECT id FROM journal WHERE hasToken({SEARCHED}, {{word:String}})", {"word": word})
        assert [row["id"] for row in found] == ids
    part = await store.query(
        f"SELECT id FROM journal WHERE {SEARCHED} LIKE '%411 declin%' OR {SEARCHED} LIKE '%4711 decl%'"
    )
    assert [row["id"] for row in part] == ["message"]
    plan = await store.query(f"EXPLAIN indexes = 1 SELECT id FROM journal WHERE hasToken({SEARCHED}, 'etimedout')")
    is_used = f"words_{kind}" in str(plan)
    assert is_used is (kind is not SearchIndex.NONE)


async def test_an_index_this_server_does_not_know_is_passed_over_and_said(
    bare: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(capabilities.INDEX_TYPES, SearchIndex.TEXT, "inverted_one_day()")
    await migrate.apply(bare, 30)
    assert bare.search_index is SearchIndex.TOKENBF
    monkeypatch.undo()
    await migrate.apply(bare, 30)
    assert bare.search_index is SearchIndex.TEXT, "a newer server's index is taken up"
    names = await bare.query("SELECT name FROM system.data_skipping_indices WHERE table = 'journal'")
    assert "words_tokenbf" not in [row["name"] for row in names]


async def test_without_projections_the_answers_are_the_same_and_an_upgrade_brings_them(
    bare: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a ClickHouse that has none: it does not know the word, and one day it does."""
    known = bare.command

    async def older(sql: str, *given: Any, **named: Any) -> None:
        await known(re.sub(r"\bPROJECTION\b", "PROJECTILE", sql), *given, **named)

    monkeypatch.setattr(bare, "command", older)
    await migrate.apply(bare, 3650)
    wanted = tables.projections(text for _, text in tables.migrations(3650))
    assert [one.name for one in wanted if one.table == "journal"] == [
        "per_minute",
        "per_partition",
        "quarters",
        "failures",
        "gaps",
    ]
    assert capsys.readouterr().out.count("projection_refused") == len(wanted)
    await bare.insert("journal", rows(0, 1000), "old")
    with pytest.raises(LogsvcError):
        await bare.query(AGGREGATES[0], settings={"force_optimize_projection": 1})
    before = [str(await bare.query(sql)) for sql in AGGREGATES]
    monkeypatch.undo()
    await migrate.apply(bare, 3650)
    await bare.insert("journal", rows(0, 1000), "old")
    assert [str(await bare.query(sql)) for sql in AGGREGATES] == before
    await bare.insert("journal", rows(1000, 1000), "new")
    for sql in AGGREGATES:
        mixed = await bare.query(sql)
        assert str(mixed) == str(await bare.query(sql, settings={"optimize_use_projections": 0})), sql


async def test_a_projection_whose_end_was_refused_goes_later_and_a_missing_table_is_named(
    bare: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a user who had no right to ALTER when the version was run, and has it now."""

    async def kept() -> bool:
        [found] = await bare.query(
            "SELECT create_table_query AS sql FROM system.tables"
            " WHERE database = currentDatabase() AND name = 'journal'"
        )
        return "PROJECTION durations " in str(found["sql"])

    known = bare.command

    async def refuse(sql: str, *given: Any, **named: Any) -> None:
        if "DROP PROJECTION" in sql:
            raise LogsvcError("not allowed")
        await known(sql, *given, **named)

    monkeypatch.setattr(bare, "command", refuse)
    await migrate.apply(bare, 30)
    assert await kept()
    assert "projection_refused" in capsys.readouterr().out
    monkeypatch.undo()
    await migrate.apply(bare, 30)
    assert not await kept()
    await bare.command("DROP TABLE journal SYNC")
    with pytest.raises(LogsvcError, match=r"no table journal, .* --print-sql"):
        await migrate.apply(bare, 30)


async def test_the_sql_for_a_cluster_is_read_and_its_settings_known_by_clickhouse(
    bare: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as one server can tell: nothing is run, for replicated tables need a Keeper."""
    for statement in tables.statements(migrate.migration_sql(30, cluster="{cluster}")):
        [*_] = await bare.query(f"EXPLAIN AST {statement}")
    with pytest.raises(LogsvcError, match="Syntax"):
        await bare.query("EXPLAIN AST CREATE TABLE t ON CLUSTERS 'c' (a Int8) ENGINE = ReplicatedMergeTree ORDER BY a")
    engines = await bare.query("SELECT name FROM system.table_engines WHERE name LIKE 'Replicated%'")
    assert {"ReplicatedMergeTree", "ReplicatedReplacingMergeTree"} <= {row["name"] for row in engines}
    settings = await bare.query("SELECT name FROM system.merge_tree_settings WHERE name LIKE 'replicated_dedup%'")
    windows = {"replicated_deduplication_window", "replicated_deduplication_window_seconds"}
    assert windows <= {row["name"] for row in settings}
    await migrate.apply(bare, 30)
    assert not bare.is_replicated
    monkeypatch.setattr(bare, "is_replicated", True)
    await bare.insert("journal", rows(0, 100), "with the settings of a quorum")
    assert await count(bare) == 100
    monkeypatch.setattr(bare, "cluster", "main")
    with pytest.raises(LogsvcError, match="CLICKHOUSE_CLUSTER"):
        await migrate.apply(bare, 30)


async def test_a_marker_sent_again_is_one_marker_and_the_first_one_stays(store: Store) -> None:
    for number, version in enumerate(["1.4", "1.4", "1.5"]):
        marker = {"id": "m1", "ts": T0 + number, "env": "prod", "service": "api", "version": version, "by": "ci"}
        await store.insert("markers", json.dumps(marker).encode(), f"marker {number}")
    told = await store.query(
        "SELECT id, ts, env, service, version, by FROM markers FINAL WHERE ts >= {t:Int64}", {"t": T0}
    )
    assert told == [{"id": "m1", "ts": T0, "env": "prod", "service": "api", "version": "1.4", "by": "ci"}]
