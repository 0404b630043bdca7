"""What this ClickHouse can do, found by trying: the schema takes the best that is there."""

from collections.abc import Sequence

import structlog

from logsvc.errors import LogsvcError, StoreDown
from logsvc.schema.tables import Projection, on_cluster
from logsvc.schema.words import INDEX_TYPES, SearchIndex, add_index, index_name
from logsvc.store import Store

log = structlog.get_logger("logsvc.migrate")

BEST_FIRST = (SearchIndex.TEXT, SearchIndex.TOKENBF, SearchIndex.NONE)


async def settle_projections(store: Store, wanted: Sequence[Projection], dropped: Sequence[tuple[str, str]]) -> None:
    """Add the projections that are missing, as a ClickHouse had refused them that has been upgraded since.

    dropped: table and name of those of old; one that is still there, as it was not let go of, goes now.
    What is refused (an older server, no right to ALTER) is said: its questions are answered from the rows, with the
    same figures, only later. Raises StoreDown, LogsvcError if a table is not there.
    """
    names = {one.table for one in wanted} | {table for table, _ in dropped}
    found = await store.query(
        "SELECT name, create_table_query FROM system.tables"
        " WHERE database = currentDatabase() AND name IN {tables:Array(String)}",
        {"tables": sorted(names)},
    )
    made = {str(row["name"]): str(row["create_table_query"]) for row in found}
    if missing := sorted(names - made.keys()):
        raise LogsvcError(
            f"{store.database} has no table {', '.join(missing)}, though schema_migrations says that it was made: have"
            " a DBA run what `python -m logsvc --print-sql` tells, which makes only what is missing"
        )
    for table, name, definition in wanted:
        if f"PROJECTION {name} " not in made[table]:
            await _change(store, table, name, f"ADD PROJECTION IF NOT EXISTS {name} {definition}")
    for table, name in dropped:
        if f"PROJECTION {name} " in made[table]:
            await _change(store, table, name, f"DROP PROJECTION IF EXISTS {name}")


async def _change(store: Store, table: str, name: str, change: str) -> None:
    try:
        await store.command(f"ALTER TABLE {table}{on_cluster(store.cluster)} {change}")
    except StoreDown:
        raise
    except LogsvcError as error:
        log.warning("projection_refused", table=table, projection=name, change=change[:4].strip(), reason=str(error))
    else:
        log.info("projection_changed", table=table, projection=name, change=change[:4].strip())


async def index_text(store: Store, wanted: SearchIndex | None) -> SearchIndex:
    """Have the journal's text indexed as wanted, or as well as can be (None); return how it is.

    What is refused (an older server, no right to ALTER) is passed over for the next best, and said. Raises StoreDown.
    """
    present = await _present(store)
    kind = await _first_possible(
        store, present, BEST_FIRST if wanted is None else BEST_FIRST[BEST_FIRST.index(wanted) :]
    )
    for other in present - {kind}:
        try:
            await store.command(
                f"ALTER TABLE journal{on_cluster(store.cluster)} DROP INDEX IF EXISTS {index_name(other)}"
            )
        except StoreDown:
            raise
        except LogsvcError as error:
            log.warning("search_index_kept", kind=str(other), reason=str(error))
    log.info("search_index", kind=str(kind), was=sorted(present))
    return kind


async def _first_possible(store: Store, present: set[SearchIndex], kinds: tuple[SearchIndex, ...]) -> SearchIndex:
    for kind in kinds:
        if kind in present or kind is SearchIndex.NONE:
            return kind
        try:
            await store.command(add_index(kind, store.cluster))
        except StoreDown:
            raise
        except LogsvcError as error:
            log.warning("search_index_refused", kind=str(kind), reason=str(error))
        else:
            return kind
    return SearchIndex.NONE


async def _present(store: Store) -> set[SearchIndex]:
    found = await store.query(
        "SELECT name FROM system.data_skipping_indices WHERE database = currentDatabase() AND table = 'journal'"
    )
    names = {str(row["name"]) for row in found}
    return {kind for kind in INDEX_TYPES if index_name(kind) in names}
