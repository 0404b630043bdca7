"""The SQL of the tables, as text: every version in order, for one server or a cluster, with projections or without."""

import re
from collections.abc import Iterable
from importlib import resources
from string import Template
from typing import NamedTuple

TABLES = ("journal", "queue_snapshots", "scheduler_snapshots", "source_snapshots", "markers")
"""What is kept for as long as LOGSVC_RETENTION_DAYS says."""

LEDGER = """\
CREATE TABLE IF NOT EXISTS schema_migrations${on_cluster}
(
    version String,
    is_applied Bool,
    applied_at DateTime DEFAULT now()
)
ENGINE = ${replicated}MergeTree
ORDER BY version
SETTINGS ${deduplication_window} = 100;
"""

RETENTION = (
    "ALTER TABLE ${table}${on_cluster}"
    " MODIFY TTL toDateTime(intDiv(ts, 1000), 'UTC') + toIntervalDay(${retention_days})"
)

WEEK_SECONDS = 7 * 24 * 3600

_CREATES = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_CREATED = re.compile(r",\s+PROJECTION (\w+)\s+(\(.*?\n    \))", re.DOTALL)
_ALTERED = re.compile(r"ALTER TABLE (\w+).*? (ADD|DROP) PROJECTION IF (?:NOT )?EXISTS (\w+)\s*(.*)", re.DOTALL)


def rendered(text: str, cluster: str, **values: object) -> str:
    """Fill in a statement's placeholders. cluster: its name; "" = one server.

    Replicated tables take path and replica from the server's own defaults, and forget tokens by age too: by default
    after an hour, which is less than a replica may be away.
    """
    window = "non_replicated_deduplication_window"
    if cluster:
        window = f"replicated_deduplication_window_seconds = {WEEK_SECONDS}, replicated_deduplication_window"
    return Template(text).substitute(
        on_cluster=on_cluster(cluster),
        replicated="Replicated" if cluster else "",
        deduplication_window=window,
        **values,
    )


def on_cluster(cluster: str) -> str:
    """What follows a table's or database's name in a statement that changes it."""
    return f" ON CLUSTER '{cluster}'" if cluster else ""


def migrations(retention_days: int, cluster: str = "") -> list[tuple[str, str]]:
    """Every version with its SQL, in order."""
    folder = resources.files("logsvc.schema")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [
        (name.removesuffix(".sql"), rendered((folder / name).read_text(), cluster, retention_days=retention_days))
        for name in names
    ]


def statements(text: str) -> list[str]:
    """Split a file at the semicolons that end a line; comments go."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip(" \n;") for part in code.split(";\n") if part.strip(" \n;")]


class Projection(NamedTuple):
    """An aggregate that ClickHouse keeps beside a table's rows. definition: `(SELECT …)`."""

    table: str
    name: str
    definition: str


def projections(texts: Iterable[str]) -> list[Projection]:
    """Those that a table has once all versions have run."""
    found: dict[tuple[str, str], Projection] = {}
    for statement in [one for text in texts for one in statements(text)]:
        if creates := _CREATES.match(statement):
            for name, definition in _CREATED.findall(statement):
                found[creates[1], name] = Projection(creates[1], name, definition)
        elif altered := _ALTERED.match(statement):
            table, what, name, definition = altered.groups()
            found.pop((table, name), None)
            if what == "ADD":
                found[table, name] = Projection(table, name, definition)
    return list(found.values())


def dropped_projections(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Table and name of those that a version has dropped, and no later one has made again."""
    texts = list(texts)
    kept = {(one.table, one.name) for one in projections(texts)}
    changes = [found.groups() for text in texts for one in statements(text) if (found := _ALTERED.match(one))]
    return [(table, name) for table, what, name, _ in changes if what == "DROP" and (table, name) not in kept]


def without_projections(statement: str) -> str:
    """The same without projections; "" if it is about nothing else."""
    return "" if _ALTERED.match(statement) else _CREATED.sub("", statement)
