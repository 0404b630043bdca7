"""`GET /api/v1/logs.csv` and `/logs.ndjson`: all rows of a filter as a file, of any size, at the reader's pace.

Rows are read page by page as the reader takes them, so memory stays flat and ClickHouse is not asked ahead of need.

A browser writes such a file to disk by itself, and tells the page that asked for it nothing. So the page names its
export, and asks how far the one of that name is (logsvc/api/progress.py).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, NamedTuple, Self

import structlog
from litestar.response.base import ASGIResponse
from prometheus_client import Counter as Metric

from logsvc.api.files import Writing
from logsvc.errors import LogsvcError, QueryTooHeavy, TooMany
from logsvc.rows import Row
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.export")

AT_ONCE = 12
"""Exports under way in one replica; each asks ClickHouse one question at a time."""
AT_ONCE_EACH = 4
"""Of one person, however slowly they are taken: the others still find a place."""

NAME = "^[0-9A-Za-z-]{1,64}$"
MOST_NAMED = 100
"""Exports that are remembered by their names; those that are over are forgotten first."""

PAGE_ROWS = 2_000
PAGE_BYTES = 2 * 1024 * 1024
"""Of the rows of a page; in memory it is there about four times, on its way into the file."""
CHUNK_BYTES = 64 * 1024
STALL_SECONDS = 60.0
"""A reader that takes no CHUNK_BYTES for so long is let go."""

TRIES = 4
TRY_AGAIN_SECONDS = 3.0


class RowPage(NamedTuple):
    """Some rows of what is asked for. has_more: others follow."""

    rows: Sequence[Row]
    has_more: bool


Pages = Callable[[], Awaitable[RowPage]]
"""The next page."""


class Exports:
    """The exports of this replica. stop: set when the service ends; then they end too, and say so in the file."""

    def __init__(self, stop: asyncio.Event, rows: Metric) -> None:
        self.stop = stop
        self.under_way: Counter[str] = Counter()
        """How many each person has."""
        self._rows = rows
        self._named: dict[tuple[str, str], Export] = {}

    def admit(self, user_id: str, name: str | None = None) -> "Export":
        """Take a place, at once: nobody else has it from here on. Raises TooMany if none is free."""
        export = Export(self.under_way, user_id)
        if name:
            self._remember((user_id, name), export)
        with export:
            if self.under_way[user_id] > AT_ONCE_EACH:
                raise TooMany(f"{AT_ONCE_EACH} exports of yours are under way; wait for one to end")
            if self.under_way.total() > AT_ONCE:
                raise TooMany(f"{AT_ONCE} exports are under way; wait for one to end")
        return export

    def named(self, user_id: str, name: str) -> "Export | None":
        """This person's latest export of that name; None if there was none here, or it is forgotten."""
        return self._named.get((user_id, name))

    def _remember(self, key: tuple[str, str], export: "Export") -> None:
        self._named.pop(key, None)
        self._named[key] = export
        if len(self._named) > MOST_NAMED:
            del self._named[next(key for key, known in self._named.items() if known.is_over)]

    async def chunks(self, export: "Export", writing: Writing, first: RowPage, pages: Pages) -> AsyncGenerator[bytes]:
        """The file, piece by piece. first: the first page, read before anything was sent."""
        incomplete = ""
        page = first
        yield writing.begin()
        while True:
            for chunk in _cut(await asyncio.to_thread(writing.rows, page.rows)):
                yield chunk
            export.sent += len(page.rows)
            self._rows.labels(writing.suffix).inc(len(page.rows))
            if not page.has_more:
                break
            if self.stop.is_set() or export.is_cancelled:
                incomplete = "it was cancelled" if export.is_cancelled else "Tocsin was stopped"
                break
            try:
                page = await self._patiently(pages)
            except LogsvcError as error:
                incomplete = _why(error)
                log.warning("export_cut", rows=export.sent, reason=str(error))
                break
        yield writing.end(export.sent, incomplete)
        export.end(incomplete)

    async def _patiently(self, pages: Pages) -> RowPage:
        """The next page; ClickHouse may be away for a moment."""
        for tries_left in reversed(range(TRIES)):
            try:
                return await pages()
            except LogsvcError as error:
                if not tries_left or isinstance(error, QueryTooHeavy) or self.stop.is_set():
                    raise
                await pause(self.stop, TRY_AGAIN_SECONDS)
        raise AssertionError("unreachable")


class Export:
    """One file, and the place among those under way that it has until it ends. As a context: ended if the block fails.

    rows: how many there will be, None = not told in time. sent: how many were taken so far. is_over: nothing more is
    sent. incomplete: why that is not all; "" = it is, or it is not over.
    """

    def __init__(self, under_way: Counter[str], user_id: str) -> None:
        self.rows: int | None = None
        self.sent = 0
        self.is_over = False
        self.is_cancelled = False
        self.incomplete = ""
        self._under_way = under_way
        self._user_id = user_id
        under_way[user_id] += 1

    def cancel(self) -> None:
        """End the file after the page that is being sent; its last line says so."""
        self.is_cancelled = True

    def end(self, incomplete: str) -> None:
        """Give the place back; the first word on why it is not all stands."""
        if not self.is_over:
            self._under_way -= Counter([self._user_id])  # forgets who has none left
            self.is_over, self.incomplete = True, incomplete

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.end(str(error) if isinstance(error, TooMany) else "it could not be begun")


class FileAnswer(ASGIResponse):
    """An answer that is sent as fast as it is taken. It ends early if the reader goes away, or takes nothing more."""

    def __init__(
        self, export: Export, chunks: AsyncGenerator[bytes], media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._head = [(b"content-type", media_type.encode())]
        self._head += [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._export = export
        self._chunks = chunks

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        leaving = asyncio.create_task(_gone(receive))
        try:
            async with aclosing(self._chunks):
                await send({"type": "http.response.start", "status": 200, "headers": self._head})
                await self._send_body(send, leaving)
        except TimeoutError:
            log.info("export_reader_stalled", seconds=STALL_SECONDS)
        finally:
            leaving.cancel()
            self._export.end("it was not taken to its end")

    async def _send_body(self, send: Any, leaving: asyncio.Task[None]) -> None:
        async for chunk in self._chunks:
            if leaving.done():
                return
            if chunk:
                async with asyncio.timeout(STALL_SECONDS):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _why(error: LogsvcError) -> str:
    """Why the rest was not read, for who reads the file."""
    match error:
        case QueryTooHeavy():
            return "the rest would have taken too long"
        case TooMany():
            return "too many other questions were being answered"
        case _:
            return "ClickHouse could not be reached any more"


def _cut(body: bytes) -> list[bytes]:
    return [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
