"""`GET /api/v1/logs`: events and log lines, newest first."""

from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler

from logsvc.api.answers import CursorText, FromTime, Limit, Names, Page, States, Text, ToTime, Words, refuse_unknown
from logsvc.api.journal import SETS, Journal, Range, Where, sets, time_range, window_starts
from logsvc.api.text import add_search
from logsvc.cursors import RowKey, pack, unpack
from logsvc.rows import COLUMNS, Row, row_of
from logsvc.search import parse

KNOWN = (*SETS, "event", "fingerprint", "q", "from", "to", "cursor", "limit")
NEWEST_FIRST = "ORDER BY ts DESC, kind DESC, kafka_partition DESC, kafka_offset DESC"


def logs_routes(journal: Journal) -> list[HTTPRouteHandler]:
    """The route, bound to a journal."""

    @get("/api/v1/logs", summary="Events and log lines, newest first")
    async def logs(
        request: Request[Any, Any, Any],
        env: Names = None,
        service: Names = None,
        source: Names = None,
        queue: Names = None,
        job_id: Names = None,
        level: Words = None,
        states: States = None,
        kind: Words = None,
        event: Names = None,
        fingerprint: Names = None,
        text: Text = None,
        start: FromTime = None,
        end: ToTime = None,
        cursor: CursorText = None,
        limit: Limit = 200,
    ) -> Page[Row]:
        refuse_unknown(request, KNOWN)
        places = {"env": env, "source": source, "queue": queue}
        others = {"service": service, "job_id": job_id, "level": level, "state": states, "kind": kind, "event": event}
        where = sets({**places, **others, "fingerprint": fingerprint})
        add_search(where, parse(text), journal.search_index)
        asked = time_range(start, end)
        since = await journal.since()
        found = await newest_rows(journal, where, asked, unpack(RowKey, cursor) if cursor else None, limit + 1, since)
        more = len(found) > limit
        return Page(
            items=[row_of(row) for row in found[:limit]],
            next_cursor=pack(key_of(found[limit - 1])) if more else None,
            as_of=journal.as_of(),
            coverage=await journal.coverage(asked, sets(places), since),
        )

    return [logs]


async def newest_rows(
    journal: Journal, where: Where, asked: Range, after: RowKey | None, limit: int, since: int | None
) -> list[dict[str, Any]]:
    """Up to limit journal rows older than `after`, newest first, looking ever further back until there are enough."""
    if since is None:
        return []
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
    found: list[dict[str, Any]] = []
    for start in window_starts(journal.now_ms() if top is None else top, bottom):
        window = where.copy().add("ts >= {earliest:Int64}", earliest=start)
        if top is not None:
            window.add("ts < {latest:Int64}", latest=top)
        window.parameters["most"] = limit - len(found)
        found += await journal.ask(
            f"SELECT {COLUMNS} FROM journal WHERE {window} {NEWEST_FIRST} LIMIT {{most:UInt32}}", window
        )
        if len(found) >= limit:
            break
        top = start
    return found


def key_of(row: dict[str, Any]) -> RowKey:
    return RowKey(int(row["ts"]), str(row["kind"]), int(row["kafka_partition"]), int(row["kafka_offset"]))
