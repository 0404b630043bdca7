"""`GET /api/v1/logs.csv` and `/logs.ndjson`: all rows of a filter as a file, of any size, at the reader's pace.

Rows are read page by page as the reader takes them, so memory stays flat and ClickHouse is not asked ahead of need.
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

    def admit(self, user_id: str) -> "Place":
        """Take a place, at once: nobody else has it from here on. Raises TooMany if none is free."""
        if self.under_way[user_id] >= AT_ONCE_EACH:
            raise TooMany(f"{AT_ONCE_EACH} exports of yours are under way; wait for one to end")
        if self.under_way.total() >= AT_ONCE:
            raise TooMany(f"{AT_ONCE} exports are under way; wait for one to end")
        self.under_way[user_id] += 1
        return Place(self.under_way, user_id)

    async def chunks(self, writing: Writing, first: RowPage, pages: Pages) -> AsyncGenerator[bytes]:
        """The file, piece by piece. first: the first page, read before anything was sent."""
        count, incomplete = 0, ""
        page = first
        yield writing.begin()
        while True:
            for chunk in _cut(await asyncio.to_thread(writing.rows, page.rows)):
                yield chunk
            count += len(page.rows)
            self._rows.labels(writing.suffix).inc(len(page.rows))
            if not page.has_more:
                break
            if self.stop.is_set():
                incomplete = "Tocsin was stopped"
                break
            try:
                page = await self._patiently(pages)
            except LogsvcError as error:
                incomplete = _why(error)
                log.warning("export_cut", rows=count, reason=str(error))
                break
        yield writing.end(count, incomplete)

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


class Place:
    """One of the exports under way; who holds it gives it back once. As a context: given back if the block fails."""

    def __init__(self, under_way: Counter[str], user_id: str) -> None:
        self._under_way = under_way
        self._user_id = user_id
        self._is_held = True

    def give_back(self) -> None:
        if self._is_held:
            self._is_held = False
            self._under_way -= Counter([self._user_id])  # forgets who has none left

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.give_back()


class FileAnswer(ASGIResponse):
    """An answer that is sent as fast as it is taken. It ends early if the reader goes away, or takes nothing more."""

    def __init__(
        self, place: Place, chunks: AsyncGenerator[bytes], media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._head = [(b"content-type", media_type.encode())]
        self._head += [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._place = place
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
            self._place.give_back()

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
