"""What this ClickHouse can do, found by trying: the schema takes the best that is there."""

import structlog

from logsvc.errors import LogsvcError, StoreDown
from logsvc.store import Store
from logsvc.words import INDEX_TYPES, SearchIndex, add_index, index_name

log = structlog.get_logger("logsvc.migrate")

BEST_FIRST = (SearchIndex.TEXT, SearchIndex.TOKENBF, SearchIndex.NONE)


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
            await store.command(f"ALTER TABLE journal DROP INDEX IF EXISTS {index_name(other)}")
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
            await store.command(add_index(kind))
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
