"""`GET /api/v1/logs`: events and log lines, newest first; `/logs.csv` and `/logs.ndjson`: the same as files."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from logsvc.api.answers import (
    HISTORY,
    CursorText,
    FromTime,
    Limit,
    Names,
    Page,
    States,
    Text,
    ToTime,
    Words,
    refusals,
    refuse_unknown,
)
from logsvc.api.export import PAGE_ROWS, Exports, FileAnswer, Place
from logsvc.api.files import Csv, Ndjson, Writing
from logsvc.api.journal import SETS, Journal, Range, Where, sets, time_range, window_starts
from logsvc.api.text import add_search
from logsvc.auth.who import who_of
from logsvc.cursors import RowKey, pack, unpack
from logsvc.errors import LogsvcError
from logsvc.rows import COLUMNS, Row, row_of
from logsvc.schema.words import SearchIndex
from logsvc.search import Term, parse
from tocsin.times import rfc3339

FILTER = (*SETS, "event", "fingerprint", "q", "from", "to")
COUNT_SECONDS = 3.0
RARE = 2_000
NEWEST_FIRST = "ORDER BY ts DESC, kind DESC, kafka_partition DESC, kafka_offset DESC"


@dataclass(frozen=True)
class RowFilter:
    """Which rows are asked for. coarse: conditions that counts by the minute can tell; fine: by job and fingerprint."""

    places: Where
    coarse: Where
    fine: Where
    terms: tuple[Term, ...]
    asked: Range

    def where(self, index: SearchIndex | None) -> Where:
        """All conditions but those on time."""
        where = Where([*self.coarse.clauses, *self.fine.clauses], self.coarse.parameters | self.fine.parameters)
        return add_search(where, self.terms, index)


async def row_filter(
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
) -> RowFilter:
    """Read the parameters that say which rows are asked for. Raises BadRequest."""
    places = {"env": env, "source": source, "queue": queue}
    others = {"service": service, "level": level, "state": states, "kind": kind, "event": event}
    return RowFilter(
        sets(places),
        sets({**places, **others}),
        sets({"job_id": job_id, "fingerprint": fingerprint}),
        parse(text),
        time_range(start, end),
    )


FILTERED = {"wanted": Provide(row_filter)}
Wanted = NamedDependency[RowFilter]


def logs_routes(journal: Journal, exports: Exports) -> list[HTTPRouteHandler]:
    """The routes, bound to a journal."""

    @get(
        "/api/v1/logs",
        summary="Events and log lines, newest first",
        dependencies=FILTERED,
        responses=refusals(*HISTORY),
    )
    async def logs(
        request: Request[Any, Any, Any], wanted: Wanted, cursor: CursorText = None, limit: Limit = 200
    ) -> Page[Row]:
        refuse_unknown(request, (*FILTER, "cursor", "limit"))
        as_of = journal.as_of()
        since = await journal.since()
        reading = Reading(journal, wanted, unpack(RowKey, cursor) if cursor else None, since)
        found, coverage = await asyncio.gather(
            reading.rows(limit + 1), journal.coverage(wanted.asked, wanted.places, since)
        )
        return Page(
            items=[row_of(row) for row in found[:limit]],
            next_cursor=pack(key_of(found[limit - 1])) if len(found) > limit else None,
            as_of=as_of,
            coverage=coverage,
        )

    async def export(request: Request[Any, Any, Any], wanted: RowFilter, writing: Writing) -> FileAnswer:
        refuse_unknown(request, FILTER)
        with exports.admit(_person(request)) as place:
            return await begin(wanted, writing, place)

    async def begin(wanted: RowFilter, writing: Writing, place: Place) -> FileAnswer:
        as_of = journal.as_of()
        since, now = await journal.since(), journal.now_ms()
        latest = now if wanted.asked.latest is None else wanted.asked.latest
        closed = RowFilter(
            wanted.places, wanted.coarse, wanted.fine, wanted.terms, Range(wanted.asked.earliest, latest)
        )
        reading = Reading(journal, closed, None, since)
        first, coverage = await asyncio.gather(
            reading.page(PAGE_ROWS), journal.coverage(closed.asked, wanted.places, since)
        )
        rows = len(first) if len(first) < PAGE_ROWS else await reading.count()
        name = f"tocsin-logs-{rfc3339(now)[:19].replace(':', '')}.{writing.suffix}"
        told = {
            "rows": rows,
            "as-of": as_of,
            "history-since": coverage.history_since,
            "events-lost": coverage.events_lost,
        }
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        headers |= {f"x-tocsin-{name}": str(value) for name, value in told.items() if value is not None}
        chunks = exports.chunks(writing, first, reading.page)
        return FileAnswer(place, chunks, writing.media_type, headers)

    @get("/api/v1/logs.csv", summary="The same rows as CSV", dependencies=FILTERED, responses=_file("text/csv"))
    async def logs_csv(request: Request[Any, Any, Any], wanted: Wanted) -> FileAnswer:
        return await export(request, wanted, Csv())

    @get(
        "/api/v1/logs.ndjson",
        summary="The same rows as JSON, one a line",
        dependencies=FILTERED,
        responses=_file("application/x-ndjson"),
    )
    async def logs_ndjson(request: Request[Any, Any, Any], wanted: Wanted) -> FileAnswer:
        return await export(request, wanted, Ndjson())

    return [logs, logs_csv, logs_ndjson]


def _person(request: Request[Any, Any, Any]) -> str:
    return who_of(request.scope).user_id


def _file(media_type: str) -> dict[int, ResponseSpec]:
    said = (
        "All rows of the filter, newest first; the last line says whether it is all. `x-tocsin-rows`: how many. "
        "`x-tocsin-as-of`, `x-tocsin-history-since` and `x-tocsin-events-lost`: as in the other answers. What is not "
        "known is left out."
    )
    return refusals(*HISTORY) | {
        200: ResponseSpec(str, generate_examples=False, description=said, media_type=media_type)
    }


class Reading:
    """Rows of a filter, newest first, page after page."""

    def __init__(self, journal: Journal, wanted: RowFilter, after: RowKey | None, since: int | None) -> None:
        self._journal = journal
        self._where = wanted.where(journal.search_index)
        self._wanted = wanted
        self._after = after
        self._since = since

    async def rows(self, limit: int) -> list[dict[str, Any]]:
        """Journal rows after the last ones read, as many as asked for unless there are no more."""
        found = await newest_rows(
            self._journal,
            self._where.copy(),
            self._wanted.asked,
            self._after,
            limit,
            self._since,
            is_search=bool(self._wanted.terms),
        )
        if found:
            self._after = key_of(found[-1])
        return found

    async def page(self, limit: int) -> Sequence[Row]:
        found = await self.rows(limit)
        return await asyncio.to_thread(lambda: [row_of(row) for row in found])

    async def count(self) -> int | None:
        """How many rows there are in all; None where telling takes too long."""
        asked = self._wanted.asked
        look = self._where.copy().add("ts >= {earliest:Int64} AND ts < {latest:Int64}")
        look.parameters |= {"earliest": asked.earliest or 0, "latest": asked.latest}
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                return int((await self._journal.ask(f"SELECT count() AS n FROM journal WHERE {look}", look))[0]["n"])
        except (LogsvcError, TimeoutError):
            return None


async def newest_rows(
    journal: Journal,
    where: Where,
    asked: Range,
    after: RowKey | None,
    limit: int,
    since: int | None,
    *,
    is_search: bool = False,
) -> list[dict[str, Any]]:
    """Up to limit journal rows older than `after`, newest first, looking ever further back until there are enough.

    is_search: what is rare may be told by the index of words; then one look is enough.
    """
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
    starts = window_starts(journal.now_ms() if top is None else top, bottom)
    if is_search and await _is_rare(journal, where, bottom, top):
        starts = [bottom]
    found: list[dict[str, Any]] = []
    for start in starts:
        window = where.copy().add("ts >= {earliest:Int64}", earliest=start)
        if top is not None:
            window.add("ts < {latest:Int64}", latest=top)
        window.parameters["most"] = limit - len(found)
        sql = f"SELECT {COLUMNS} FROM journal WHERE {window} {NEWEST_FIRST} LIMIT {{most:UInt32}}"
        found += await journal.ask(sql, window, rows=True)
        if len(found) >= limit:
            break
        top = start
    return found


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
