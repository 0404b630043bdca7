"""Bring ClickHouse's tables to this release's schema: numbered SQL files, each run once, in order, never backward.

Safe to run again and from two replicas at a time: every statement says IF NOT EXISTS, or sets a setting. Where a DBA
has run it all already, only reading is left to do.
"""

from importlib import resources
from string import Template

import structlog
from prometheus_client import CollectorRegistry

from logsvc.capabilities import index_text
from logsvc.errors import LogsvcError, StoreDown
from logsvc.settings import LogsvcSettings
from logsvc.store import Store
from logsvc.words import SearchIndex, add_index
from tocsin.breakers import Breakers

log = structlog.get_logger("logsvc.migrate")

TABLES = ("journal", "queue_snapshots", "scheduler_snapshots", "source_snapshots", "markers")
"""What is kept for as long as LOGSVC_RETENTION_DAYS says."""

LEDGER = """\
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version String,
    is_applied Bool,
    applied_at DateTime DEFAULT now()
)
ENGINE = MergeTree
ORDER BY version
SETTINGS non_replicated_deduplication_window = 100;
"""

BEFORE_TEXT = f"""\
-- Search over text. Before ClickHouse 26.2, run this instead:
-- {add_index(SearchIndex.TOKENBF)};
"""

RETENTION = "ALTER TABLE ${table} MODIFY TTL toDateTime(intDiv(ts, 1000), 'UTC') + toIntervalDay(${retention_days})"


def migration_sql(retention_days: int = 30, search_index: SearchIndex | None = None) -> str:
    """All statements in order, for a DBA who runs them by hand. Harmless to run twice."""
    search = f"{add_index(search_index or SearchIndex.TEXT)};\n" if search_index is not SearchIndex.NONE else ""
    parts = [LEDGER]
    for version, text in migrations(retention_days):
        parts.append(f"-- {version}\n{text}")
        parts.append(f"INSERT INTO schema_migrations (version, is_applied) VALUES ('{version}', true);\n")
    return "\n".join([*parts, search if search_index else BEFORE_TEXT + search])


async def migrate(settings: LogsvcSettings) -> None:
    """Open ClickHouse, migrate, close. Raises StoreDown or LogsvcError."""
    store = Store(settings, Breakers(settings, CollectorRegistry()))
    try:
        await apply(store, settings.logsvc_retention_days, settings.search_index)
    finally:
        await store.close()


async def apply(store: Store, retention_days: int, search_index: SearchIndex | None = None) -> None:
    """Run what has not been run yet, then set the retention and the index of texts (None = the best there is).

    Raises StoreDown, LogsvcError for a refused statement.
    """
    await store.create_database()
    if not await _has_ledger(store):
        await store.command(LEDGER)
    done = {str(row["version"]) for row in await store.query("SELECT DISTINCT version FROM schema_migrations")}
    for version, text in migrations(retention_days):
        if version not in done:
            await apply_file(store, version, text)
    for table in TABLES:
        await _keep_for(store, table, retention_days)
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
        await store.command(statement)
    await store.command(
        "INSERT INTO schema_migrations (version, is_applied) VALUES ({version:String}, true)", {"version": version}
    )
    log.info("migrated", version=version)


async def _keep_for(store: Store, table: str, days: int) -> None:
    """Change a table's TTL if it differs; old days then go as whole parts, for no row is rewritten.

    A user who may not ALTER goes on with the TTL that is there, and says so.
    """
    found = await store.query(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
        {"table": table},
    )
    if found and f"toIntervalDay({days})" not in str(found[0]["create_table_query"]):
        statement = Template(RETENTION).substitute(table=table, retention_days=days)
        try:
            await store.command(statement)
        except StoreDown:
            raise
        except LogsvcError as error:
            log.error("retention_not_changed", table=table, days=days, reason=str(error), have_a_dba_run=statement)
        else:
            log.info("retention_changed", table=table, days=days)


def statements(text: str) -> list[str]:
    """Split a file at the semicolons that end a line; comments go."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip(" \n;") for part in code.split(";\n") if part.strip(" \n;")]


def migrations(retention_days: int) -> list[tuple[str, str]]:
    """Every version with its SQL, in order."""
    folder = resources.files("logsvc.schema")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [
        (name.removesuffix(".sql"), Template((folder / name).read_text()).substitute(retention_days=retention_days))
        for name in names
    ]
