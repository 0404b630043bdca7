"""Bring ClickHouse's tables to this release's schema: numbered SQL files, each run once, in order, never backward.

Safe to run again and from two replicas at a time: every statement says IF NOT EXISTS, or sets a setting. Where a DBA
has run it all already, only reading is left to do.
"""

import asyncio

import structlog
from prometheus_client import CollectorRegistry

from logsvc.errors import LogsvcError, StoreDown
from logsvc.schema.capabilities import index_text, settle_projections
from logsvc.schema.tables import (
    LEDGER,
    RETENTION,
    TABLES,
    dropped_projections,
    migrations,
    projections,
    rendered,
    statements,
    without_projections,
)
from logsvc.schema.words import SearchIndex, add_index
from logsvc.settings import LogsvcSettings
from logsvc.store import Store
from tocsin.breakers import Breakers
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.migrate")

RETRY_SECONDS = 2.0

BEFORE_TEXT = """\
-- Search over text. Before ClickHouse 26.2, run this instead:
-- {};
"""


def migration_sql(retention_days: int = 30, search_index: SearchIndex | None = None, cluster: str = "") -> str:
    """All statements in order, for a DBA who runs them by hand. Harmless to run twice."""
    parts = [rendered(LEDGER, cluster)]
    for version, text in migrations(retention_days, cluster):
        parts.append(f"-- {version}\n{text}")
        parts.append(f"INSERT INTO schema_migrations (version, is_applied) VALUES ('{version}', true);\n")
    if search_index is None:
        parts.append(BEFORE_TEXT.format(add_index(SearchIndex.TOKENBF, cluster)))
    if search_index is not SearchIndex.NONE:
        parts.append(f"{add_index(search_index or SearchIndex.TEXT, cluster)};\n")
    return "\n".join(parts)


async def migrate(settings: LogsvcSettings) -> None:
    """Open ClickHouse, migrate, close. Raises StoreDown or LogsvcError."""
    store = Store(settings, Breakers(settings, CollectorRegistry()))
    try:
        await apply(store, settings.logsvc_retention_days, settings.search_index)
    finally:
        await store.close()


async def apply_in_time(store: Store, settings: LogsvcSettings, stop: asyncio.Event) -> None:
    """Apply, and wait for ClickHouse as long as it takes, or until stop."""
    while not stop.is_set():
        try:
            await apply(store, settings.logsvc_retention_days, settings.search_index)
        except LogsvcError as error:
            log.warning("waiting_for_clickhouse", reason=str(error))
            await pause(stop, RETRY_SECONDS)
        else:
            return


async def apply(store: Store, retention_days: int, search_index: SearchIndex | None = None) -> None:
    """Run what has not been run yet, then set the retention and the index of texts (None = the best there is).

    Raises StoreDown, LogsvcError for a refused statement.
    """
    await store.create_database()
    await _see_replication(store)
    if not await _has_ledger(store):
        await store.command(rendered(LEDGER, store.cluster))
    done = {str(row["version"]) for row in await store.query("SELECT DISTINCT version FROM schema_migrations")}
    versions = migrations(retention_days, store.cluster)
    for version, text in versions:
        if version not in done:
            await apply_file(store, version, text)
    await _see_replication(store)
    for table in TABLES:
        await _keep_for(store, table, retention_days)
    texts = [text for _, text in versions]
    await settle_projections(store, projections(texts), dropped_projections(texts))
    store.search_index = await index_text(store, search_index)


async def _has_ledger(store: Store) -> bool:
    return bool(
        await store.query(
            "SELECT 1 AS n FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
        )
    )


async def apply_file(store: Store, version: str, text: str) -> None:
    """Run one version and remember it."""
    for statement in statements(text):
        await _run(store, statement)
    await store.command(
        "INSERT INTO schema_migrations (version, is_applied) VALUES ({version:String}, true)", {"version": version}
    )
    log.info("migrated", version=version)


async def _run(store: Store, statement: str) -> None:
    """Run a statement; where a projection of it is refused, without it: settle_projections sees to those."""
    try:
        await store.command(statement)
    except StoreDown:
        raise
    except LogsvcError:
        rest = without_projections(statement)
        if rest == statement:
            raise
        if rest:
            await store.command(rest)


async def _see_replication(store: Store) -> None:
    """Find out whether the tables, if there are any, are replicated, for inserts then wait for a quorum.

    Raises LogsvcError where they were made for one server and a cluster is asked for: their rows would be on one only.
    """
    found = await store.query(
        "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'journal'"
    )
    engine = str(found[0]["engine"]) if found else ""
    store.is_replicated = engine.startswith("Replicated")
    if store.cluster and engine == "MergeTree":
        raise LogsvcError(
            f"the tables in {store.database} were made for one server, not for the cluster {store.cluster}: name"
            " another database in CLICKHOUSE_URL, or leave CLICKHOUSE_CLUSTER unset"
        )


async def _keep_for(store: Store, table: str, days: int) -> None:
    """Change a table's TTL if it differs; old days then go as whole parts, for no row is rewritten.

    A user who may not ALTER goes on with the TTL that is there, and says so.
    """
    found = await store.query(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
        {"table": table},
    )
    if found and f"toIntervalDay({days})" not in str(found[0]["create_table_query"]):
        statement = rendered(RETENTION, store.cluster, table=table, retention_days=days)
        try:
            await store.command(statement)
        except StoreDown:
            raise
        except LogsvcError as error:
            log.error("retention_not_changed", table=table, days=days, reason=str(error), have_a_dba_run=statement)
        else:
            log.info("retention_changed", table=table, days=days)
