"""What the protocol leans on: how ClickHouse treats tokens, projections, refusals and old days. In this process."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from logsvc.errors import LogsvcError, QueryTooHeavy, RowsRefused, StoreDown
from logsvc.ingest.batch import Feed, Span, row_prefix, splice
from logsvc.schema import migrate, tables
from logsvc.store import QUERY_LIMITS, Store
from tests.eventually import eventually
from tests.integration.logsvc.conftest import store_settings
from tocsin.breakers import Breakers
from tocsin.events import JobEvent, encode

DAY = 24 * 3600 * 1000
T0 = 1_795_000_000_000
JOBS = Feed("t.jobs", "journal", JobEvent, "event")


def block(first: int, count: int, *, days: int = 1) -> bytes:
    prefix = row_prefix(JOBS, "c", 0)
    rows = [
        splice(
            prefix,
            offset,
            encode(
                JobEvent(
                    v=1,
                    id=f"i{offset}",
                    ts=T0 + offset + offset % days * DAY,
                    env="prod",
                    source="main",
                    queue="orders",
                    epoch=0,
                    stream_id=f"{offset}-0",
                    event="failed",
                )
            ),
        )
        for offset in range(first, first + count)
    ]
    return b"\n".join(rows)


async def count(store: Store) -> int:
    return int((await store.query("SELECT count() AS n FROM journal"))[0]["n"])


async def test_a_token_counts_for_a_batch_of_many_days_too(store: Store) -> None:
    for _ in range(3):
        await store.insert("journal", block(0, 1000, days=120), "t:0-999")
    assert await count(store) == 1000
    projected = await store.query(
        "SELECT event, count() AS n FROM journal WHERE intDiv(ts, 60000) > 0 GROUP BY event",
        settings={"force_optimize_projection": 1},
    )
    assert projected == [{"event": "failed", "n": 1000}]


async def test_a_batch_that_was_stored_in_part_is_completed_by_its_token(store: Store) -> None:
    """As a kill -9 between the parts of two days leaves it: one day's part is there, with its token, the other not."""
    await store.insert("journal", block(0, 100, days=2), "t:0-99")
    await store.command(f"ALTER TABLE journal DROP PARTITION '{_day(T0 + DAY)}'")
    assert await count(store) == 50
    await store.insert("journal", block(0, 100, days=2), "t:0-99")
    kept = await count(store)
    missing = {offset for offset in range(100)} - await store.offsets(
        "journal", ("c", "t.jobs", 0), Span(0, 99), (T0, T0 + 2 * DAY)
    )
    assert kept + len(missing) == 100, "a token dropped what is there, or kept what is not"


async def test_one_token_sent_by_two_at_once_is_stored_once(store: Store) -> None:
    for round_ in range(5):
        rows = block(round_ * 2000, 2000)
        await asyncio.gather(*[store.insert("journal", rows, f"t:{round_}") for _ in range(2)])
    assert await count(store) == 10_000


async def test_the_window_of_tokens_outlives_many_other_inserts(store: Store) -> None:
    await store.insert("journal", block(0, 10), "first")
    for number in range(1, 150):
        await store.insert("journal", block(number * 10, 10), f"t:{number}")
    await store.insert("journal", block(0, 10), "first")
    assert await count(store) == 1500


async def test_read_backs_tell_one_origin_from_another_and_know_no_limit_of_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.insert("journal", block(5, 10), "t")
    monkeypatch.setitem(QUERY_LIMITS, "max_rows_to_read", 3)
    with pytest.raises(QueryTooHeavy):
        await store.query(
            "SELECT max(kafka_offset) FROM journal WHERE ts > 0", settings={"optimize_use_projections": 0}
        )
    origin = ("c", "t.jobs", 0)
    assert await store.offsets("journal", origin, Span(0, 9), (T0, T0 + 100)) == set(range(5, 10))
    assert await store.offsets("journal", ("other", "t.jobs", 0), Span(0, 99), (T0, T0 + 100)) == set()
    assert await store.newest_offsets("journal", "t.jobs", 0) == {"c": 14}
    assert await store.newest_offsets("journal", "t.jobs", 1) == {}
    assert await store.newest_row("journal", origin, 0, 99) == (14, T0 + 14)


async def test_a_refusal_is_told_from_an_illness(store: Store) -> None:
    for bad in (
        b"nonsense",
        b'{"ts":1,"ts":2}',
        b'{"ts":1,"error":"\\ud800"}',
        b'{"ts":"x"}',
        b'{"ts":1,"enriched":"maybe"}',
        b'{"ts":1,"rebuilt":{}}',
    ):
        with pytest.raises(RowsRefused):
            await store.insert("journal", bad, "bad")
    with pytest.raises(StoreDown):
        await store.insert("no_such_table", block(0, 1), "t")
    with pytest.raises(QueryTooHeavy):
        await store.query("SELECT sum(sleepEachRow(0.5)) FROM numbers(100)", settings={"max_execution_time": 1})
    with pytest.raises(LogsvcError, match="our own SQL"):
        await store.query("SELECT nothing FROM journal")
    with pytest.raises(LogsvcError):
        await store.command("CREATE NONSENSE")


async def test_rows_that_cannot_be_read_are_told_without_storing_any(store: Store) -> None:
    assert await store.cannot_read("journal", b'{"ts":1,"enriched":"maybe"}') == 467
    assert await store.cannot_read("journal", block(0, 5) + b'\n{"ts":1,"ts":2}') == 117
    for table in tables.TABLES:
        assert await store.cannot_read(table, block(0, 5)) is None
    assert await count(store) == 0


async def test_a_refusal_does_not_quote_the_row(store: Store) -> None:
    with pytest.raises(RowsRefused) as refused:
        await store.insert("journal", b'{"ts":"hunter2", "id":"x"}', "bad")
    assert "hunter2" not in str(refused.value)
    assert "Code: " in str(refused.value)


async def test_a_sick_store_opens_the_breaker_and_a_bad_question_does_not(
    store: Store, chdb_path: Path, chdb_database: str
) -> None:
    settings = store_settings(chdb_path, chdb_database, BREAKER_FAIL_MAX="2")
    breakers = Breakers(settings, CollectorRegistry())
    asked = Store(settings, breakers)
    for _ in range(3):
        with pytest.raises(LogsvcError, match="our own SQL"):
            await asked.query("SELECT nothing FROM journal")
        with pytest.raises(RowsRefused):
            await asked.insert("journal", b"nonsense", "bad")
    assert not breakers.is_open("clickhouse")
    await asked.close()

    settings = settings.model_copy(update={"clickhouse_url": SecretStr("http://127.0.0.1:1/tocsin")})
    breakers = Breakers(settings, CollectorRegistry())
    away = Store(settings, breakers)
    for _ in range(2):
        with pytest.raises(StoreDown):
            await away.query("SELECT 1")
    assert breakers.is_open("clickhouse")
    await away.close()


async def test_what_is_asked_before_the_tables_are_made_does_not_hold_them_up(chdb_path: Path) -> None:
    settings = store_settings(chdb_path, "not_made_yet")
    breakers = Breakers(settings, CollectorRegistry())
    store = Store(settings, breakers)
    for _ in range(settings.breaker_fail_max + 1):
        with pytest.raises(StoreDown, match="does not exist"):
            await store.query("SELECT count() FROM journal")
    assert not breakers.is_open("clickhouse")
    await store.probe()
    await migrate.apply(store, 30)
    assert await store.query("SELECT count() AS n FROM journal") == [{"n": 0}]
    await store.close()


async def test_retention_is_what_the_setting_says_and_changing_it_works_on_what_is_stored(store: Store) -> None:
    now = int(time.time() * 1000)
    for table in tables.TABLES:
        for age in (0, 3, 40):
            row = {"ts": now - age * DAY, "id": f"{age} days"} | ({"event": "failed"} if table == "journal" else {})
            await store.insert(table, json.dumps(row).encode(), f"{age}")

    async def ages() -> dict[str, list[int]]:
        """Days of the rows that are left, by table, as merges leave it now."""
        found: dict[str, list[int]] = {}
        for table in tables.TABLES:
            await store.command(f"OPTIMIZE TABLE {table} FINAL")
            left = await store.query(f"SELECT DISTINCT ts FROM {table} ORDER BY ts DESC")
            found[table] = [(now - int(row["ts"])) // DAY for row in left]
        return found

    assert await ages() == {table: [0, 3, 40] for table in tables.TABLES}
    for days, left in ((30, [0, 3]), (2, [0]), (3650, [0])):
        await migrate.apply(store, days)

        async def are_gone(left: list[int] = left) -> bool:
            return await ages() == {table: left for table in tables.TABLES}

        await eventually(are_gone, what=f"only {left} left after {days} days were set")
    counted = await store.query(
        "SELECT count() AS n FROM journal WHERE intDiv(ts, 60000) > 0 AND event = 'failed'",
        settings={"force_optimize_projection": 1},
    )
    assert counted == [{"n": 1}], "aggregates go with their rows"


async def test_migrations_run_once_and_are_remembered(store: Store) -> None:
    await migrate.apply(store, 3650)
    ledger = await store.query("SELECT version, count() AS n FROM schema_migrations GROUP BY version ORDER BY version")
    assert [(row["version"], row["n"]) for row in ledger] == [(version, 1) for version, _ in tables.migrations(3650)]


async def test_tables_made_with_a_smaller_window_of_tokens_get_the_larger_one(store: Store) -> None:
    tables = ("journal", "queue_snapshots", "scheduler_snapshots")
    for table in tables:
        await store.command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 10000")
    await store.command("TRUNCATE TABLE schema_migrations")
    await migrate.apply(store, 3650)
    made = await store.query("SELECT create_table_query AS sql FROM system.tables WHERE database = currentDatabase()")
    windows = [row["sql"] for row in made if "non_replicated_deduplication_window = 100000" in row["sql"]]
    assert len(windows) == len({*tables, "source_snapshots"})


async def test_the_newest_row_within_some_offsets_is_found(store: Store) -> None:
    await store.insert("journal", block(5, 10), "t")
    origin = ("c", "t.jobs", 0)
    assert await store.newest_row("journal", origin, 0, 99) == (14, T0 + 14)
    assert await store.newest_row("journal", origin, 0, 9) == (9, T0 + 9)
    assert await store.newest_row("journal", origin, 0, 4) is None
    assert await store.newest_row("journal", ("other", "t.jobs", 0), 0, 99) is None


async def test_times_and_defaults_are_stored_as_they_were_meant(store: Store) -> None:
    await store.insert("journal", block(0, 1), "t")
    [row] = await store.query(
        "SELECT ts, toString(time) AS shown, level, state, enriched, wait_ms, backfill, kind FROM journal"
    )
    assert row == {
        "ts": T0,
        "shown": "2026-11-18 11:06:40.000",
        "level": "error",
        "state": "unknown",
        "enriched": True,
        "wait_ms": None,
        "backfill": False,
        "kind": "event",
    }


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")
