"""Bring ClickHouse's tables to this release's schema: numbered SQL files, each run once, in order.

Safe to run again and from two replicas at a time: every statement says IF NOT EXISTS, or sets a setting.
"""

from importlib import resources
from string import Template

import structlog
from prometheus_client import CollectorRegistry

from logsvc.settings import LogsvcSettings
from logsvc.store import Store
from tocsin.breakers import Breakers

log = structlog.get_logger("logsvc.migrate")

TABLES = ("journal", "queue_snapshots", "scheduler_snapshots")

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

RETENTION = "ALTER TABLE ${table} MODIFY TTL toDateTime(intDiv(ts, 1000), 'UTC') + toIntervalDay(${retention_days})"


def migration_sql(retention_days: int = 30) -> str:
    """All statements in order, for a DBA who runs them by hand. Harmless to run twice."""
    parts = [LEDGER]
    for version, text in _files(retention_days):
        parts.append(f"-- {version}\n{text}")
        parts.append(f"INSERT INTO schema_migrations (version, is_applied) VALUES ('{version}', true);\n")
    return "\n".join(parts)


async def migrate(settings: LogsvcSettings) -> None:
    """Open ClickHouse, migrate, close. Raises StoreDown or LogsvcError."""
    store = Store(settings, Breakers(settings, CollectorRegistry()))
    try:
        await apply(store, settings.logsvc_retention_days)
    finally:
        await store.close()


async def apply(store: Store, retention_days: int) -> None:
    """Run what has not been run yet, then set the retention. Raises StoreDown, LogsvcError for a refused statement."""
    await store.create_database()
    await store.command(LEDGER)
    done = {str(row["version"]) for row in await store.query("SELECT DISTINCT version FROM schema_migrations")}
    for version, text in _files(retention_days):
        if version not in done:
            await _apply_file(store, version, text)
    for table in TABLES:
        await _keep_for(store, table, retention_days)


async def _apply_file(store: Store, version: str, text: str) -> None:
    for statement in statements(text):
        await store.command(statement)
    await store.command(
        "INSERT INTO schema_migrations (version, is_applied) VALUES ({version:String}, true)", {"version": version}
    )
    log.info("migrated", version=version)


async def _keep_for(store: Store, table: str, days: int) -> None:
    """Change a table's TTL if it differs; old days then go as whole parts, for no row is rewritten."""
    found = await store.query(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
        {"table": table},
    )
    if found and f"toIntervalDay({days})" not in str(found[0]["create_table_query"]):
        await store.command(Template(RETENTION).substitute(table=table, retention_days=days))
        log.info("retention_changed", table=table, days=days)


def statements(text: str) -> list[str]:
    """Split a file at the semicolons that end a line; comments go."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip(" \n;") for part in code.split(";\n") if part.strip(" \n;")]


def _files(retention_days: int) -> list[tuple[str, str]]:
    folder = resources.files("logsvc.schema")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [
        (name.removesuffix(".sql"), Template((folder / name).read_text()).substitute(retention_days=retention_days))
        for name in names
    ]
