"""`GET /api/v1/logs`: events and log lines, newest first; `/logs.csv` and `/logs.ndjson`: the same as files."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from litestar import Request, get
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

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
from logsvc.api.export import NAME, PAGE_BYTES, PAGE_ROWS, Export, Exports, FileAnswer, RowPage
from logsvc.api.files import Csv, Ndjson, Writing
from logsvc.api.journal import SETS, Journal, Range, Where, sets, time_range
from logsvc.api.newest import key_of, newest_rows
from logsvc.api.text import add_search
from logsvc.api.weight import ANSWER_BYTES
from logsvc.auth.who import who_of
from logsvc.cursors import RowKey, unpack
from logsvc.errors import LogsvcError
from logsvc.rows import Row, row_of
from logsvc.schema.words import SearchIndex
from logsvc.search import Term, parse
from tocsin.times import rfc3339

FILTER = (*SETS, "event", "fingerprint", "q", "from", "to")
ExportName = Annotated[
    str | None,
    QueryParameter(name="export", pattern=NAME, description="Any name, by which /api/v1/exports tells how far it is."),
]
COUNT_SECONDS = 3.0


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
        page, coverage = await asyncio.gather(
            reading.page(limit, ANSWER_BYTES), journal.coverage(wanted.asked, wanted.places, since)
        )
        return Page(
            items=list(page.rows),
            next_cursor=page.rows[-1].cursor if page.has_more else None,
            as_of=as_of,
            coverage=coverage,
        )

    async def export(
        request: Request[Any, Any, Any], wanted: RowFilter, writing: Writing, name: str | None
    ) -> FileAnswer:
        refuse_unknown(request, (*FILTER, "export"))
        with exports.admit(who_of(request.scope).user_id, name) as one:
            return await begin(one, wanted, writing)

    async def begin(one: Export, wanted: RowFilter, writing: Writing) -> FileAnswer:
        as_of = journal.as_of()
        since, now = await journal.since(), journal.now_ms()
        latest = now if wanted.asked.latest is None else wanted.asked.latest
        closed = RowFilter(
            wanted.places, wanted.coarse, wanted.fine, wanted.terms, Range(wanted.asked.earliest, latest)
        )
        reading = Reading(journal, closed, None, since)
        pages = partial(reading.page, PAGE_ROWS, PAGE_BYTES)
        first, coverage = await asyncio.gather(pages(), journal.coverage(closed.asked, wanted.places, since))
        one.rows = await reading.count() if first.has_more else len(first.rows)
        name = f"tocsin-logs-{rfc3339(now)[:19].replace(':', '')}.{writing.suffix}"
        told = {
            "rows": one.rows,
            "as-of": as_of,
            "history-since": coverage.history_since,
            "events-lost": coverage.events_lost,
        }
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        headers |= {f"x-tocsin-{name}": str(value) for name, value in told.items() if value is not None}
        chunks = exports.chunks(one, writing, first, pages)
        return FileAnswer(one, chunks, writing.media_type, headers)

    @get("/api/v1/logs.csv", summary="The same rows as CSV", dependencies=FILTERED, responses=_file("text/csv"))
    async def logs_csv(request: Request[Any, Any, Any], wanted: Wanted, export_name: ExportName = None) -> FileAnswer:
        return await export(request, wanted, Csv(), export_name)

    @get(
        "/api/v1/logs.ndjson",
        summary="The same rows as JSON, one a line",
        dependencies=FILTERED,
        responses=_file("application/x-ndjson"),
    )
    async def logs_ndjson(
        request: Request[Any, Any, Any], wanted: Wanted, export_name: ExportName = None
    ) -> FileAnswer:
        return await export(request, wanted, Ndjson(), export_name)

    return [logs, logs_csv, logs_ndjson]


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

    async def page(self, limit: int, most_bytes: int) -> RowPage:
        """The rows after the last ones read: up to limit, fewer if they are large."""
        found = await newest_rows(
            self._journal,
            self._where.copy(),
            self._wanted.asked,
            self._after,
            limit,
            self._since,
            is_search=bool(self._wanted.terms),
            most_bytes=most_bytes,
        )
        if found.rows:
            self._after = key_of(found.rows[-1])
        return RowPage(await asyncio.to_thread(lambda: [row_of(row) for row in found.rows]), found.has_more)

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
