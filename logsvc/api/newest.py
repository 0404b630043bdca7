"""The newest rows of the journal under some conditions."""

from dataclasses import dataclass
from typing import Any

from logsvc.api.journal import Journal, Range, Where, window_starts
from logsvc.api.weight import ANSWER_BYTES, FEW_ROWS, first_rows, fitting, is_cut
from logsvc.cursors import RowKey
from logsvc.rows import COLUMNS
from logsvc.schema.words import SearchIndex

RARE = 2_000
NEWEST_FIRST = "ts DESC, kind DESC, kafka_partition DESC, kafka_offset DESC"


@dataclass(frozen=True)
class Newest:
    """Journal rows, newest first. has_more: there are older ones."""

    rows: list[dict[str, Any]]
    has_more: bool


async def newest_rows(
    journal: Journal,
    where: Where,
    asked: Range,
    after: RowKey | None,
    limit: int,
    since: int | None,
    *,
    is_search: bool = False,
    most_bytes: int = ANSWER_BYTES,
) -> Newest:
    """Rows older than `after`, looking ever further back until there are enough: up to limit, fewer if many are large.

    is_search: what is rare may be told by the index of words; then one look is enough.
    """
    if since is None:
        return Newest([], has_more=False)
    bottom = max(since, asked.earliest or 0)
    top = asked.latest
    if after is not None:
        where.add(
            "(ts, kind, kafka_partition, kafka_offset)"
            " < ({a_ts:Int64}, {a_kind:String}, {a_part:Int32}, {a_off:Int64})",
            a_ts=after.ts,
            a_kind=after.kind,
            a_part=after.partition,
            a_off=after.offset,
        )
        top = after.ts + 1 if top is None else min(top, after.ts + 1)
    starts = window_starts(journal.now_ms() if top is None else top, bottom)
    if is_search and await _is_rare(journal, where, bottom, top):
        starts = [bottom]
    rows: list[dict[str, Any]] = []
    for start in starts:
        window = where.copy().add("ts >= {earliest:Int64}", earliest=start)
        if top is not None:
            window.add("ts < {latest:Int64}", latest=top)
        window.parameters |= {"most": limit - len(rows) + 1, "most_bytes": max(most_bytes, 1)}
        bounded = fitting if limit > FEW_ROWS else first_rows
        sql = bounded(f"SELECT {COLUMNS} FROM journal WHERE {window}", NEWEST_FIRST)
        found = await journal.ask(sql, window, rows=True)
        rows += found
        if len(rows) > limit or is_cut(found):
            return Newest(rows[:limit], has_more=True)
        most_bytes -= int(found[-1].get("bytes", 0)) if found else 0
        top = start
    return Newest(rows, has_more=False)


async def _is_rare(journal: Journal, where: Where, bottom: int, top: int | None) -> bool:
    """Whether so few rows are asked for that sorting all of them costs nothing."""
    if journal.search_index is not SearchIndex.TEXT:
        return False
    look = where.copy().add("ts >= {earliest:Int64}", earliest=bottom)
    if top is not None:
        look.add("ts < {latest:Int64}", latest=top)
    look.parameters["most"] = RARE + 1
    sql = f"SELECT count() AS n FROM (SELECT 1 FROM journal WHERE {look} LIMIT {{most:UInt32}})"
    return int((await journal.ask(sql, look, rows=True))[0]["n"]) <= RARE


def key_of(row: dict[str, Any]) -> RowKey:
    return RowKey(int(row["ts"]), str(row["kind"]), int(row["kafka_partition"]), int(row["kafka_offset"]))
