"""What this ClickHouse can do, found by trying: the schema takes the best that is there."""

from collections.abc import Sequence

import structlog

from logsvc.errors import LogsvcError, StoreDown
from logsvc.store import Store
from logsvc.tables import Projection, on_cluster
from logsvc.words import INDEX_TYPES, SearchIndex, add_index, index_name

log = structlog.get_logger("logsvc.migrate")

BEST_FIRST = (SearchIndex.TEXT, SearchIndex.TOKENBF, SearchIndex.NONE)


async def add_projections(store: Store, wanted: Sequence[Projection]) -> None:
    """Add the projections that are missing, as a ClickHouse had refused them that has been upgraded since.

    What is refused (an older server, no right to ALTER) is said: its questions are answered from the rows, with the
    same figures, only later. Raises StoreDown.
    """
    found = await store.query(
        "SELECT name, create_table_query FROM system.tables"
        " WHERE database = currentDatabase() AND name IN {tables:Array(String)}",
        {"tables": sorted({one.table for one in wanted})},
    )
    made = {str(row["name"]): str(row["create_table_query"]) for row in found}
    for table, name, definition in wanted:
        if f"PROJECTION {name} " in made[table]:
            continue
        try:
            await store.command(
                f"ALTER TABLE {table}{on_cluster(store.cluster)} ADD PROJECTION IF NOT EXISTS {name} {definition}"
            )
        except StoreDown:
            raise
        except LogsvcError as error:
            log.warning("projection_refused", table=table, projection=name, reason=str(error))
        else:
            log.info("projection_added", table=table, projection=name)


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
