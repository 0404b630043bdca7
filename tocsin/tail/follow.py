"""Follows logsvc's live stream over a WebSocket, history first if that is wanted. docs/live.md has the protocol."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from tocsin.tail.lines import line_of, notice
from tocsin.tail.options import Options

SILENT_SECONDS = 30.0
"""logsvc says something at least every ten."""
MOST_BACKOFF_SECONDS = 10.0
LEAVE_SECONDS = 1.0
"""How long who presses Ctrl-C waits for a logsvc that does not say goodbye."""
PAGE_ROWS = 1_000
MOST_HISTORY = 20_000
MOST_HELD = 50_000
"""Of what the stream brings while history loads, the newest rows so many are kept."""
SETTLE_SECONDS = 15.0
"""How long history may take to come as far as the stream began."""

Row = Mapping[str, Any]


class TailError(Exception):
    """It cannot go on, and trying again would not help; the message says what to do."""


class Follow:
    """One run of the command. write: prints a line to where rows go; tell: to where people look."""

    def __init__(self, options: Options, write: Callable[[str], None], tell: Callable[[str], None]) -> None:
        self._options = options
        self._write = write
        self._tell = tell
        self._cursor = ""
        self._shown: set[str] = set()
        """Ids that history has shown: the stream may bring them once more."""
        self._held: deque[Row] | None = deque() if options.since else None
        """Rows of the stream that wait until history is shown; None: nothing has to wait, now or any more."""
        self._left_out = 0

    async def run(self) -> None:
        """Follow for ever. Raises TailError."""
        backoff = 0.0
        while True:
            try:
                async with connect(
                    self._url(), additional_headers=self._options.headers, max_size=None, close_timeout=LEAVE_SECONDS
                ) as stream:
                    if backoff:
                        self._notice("connected again")
                    await self._read(stream)
            except InvalidStatus as error:
                status = error.response.status_code
                if status not in (502, 503, 504):
                    raise TailError(_refused(self._options.url, status)) from None
                self._lost(f"HTTP {status}", backoff)
            except ConnectionClosed as error:
                closed = error.rcvd
                self._lost(f"{closed.code} {closed.reason}".strip() if closed else "it broke off", backoff)
                backoff = 0.0 if closed and closed.code == 1012 else backoff
            except (OSError, TimeoutError, InvalidHandshake) as error:
                self._lost(str(error) or type(error).__name__, backoff)
            backoff = min(MOST_BACKOFF_SECONDS, max(0.5, backoff * 2))
            await asyncio.sleep(backoff * random.uniform(0.5, 1))

    def _lost(self, why: str, backoff: float) -> None:
        if not self._cursor:
            raise TailError(
                f"logsvc does not answer at {self._options.url} ({why}). Is it running? Give its address with --url, "
                "or in LOGSVC_URL"
            )
        if not backoff:
            self._notice(f"connection lost ({why}); trying again")

    def _url(self) -> str:
        asked = [(name, value) for name, values in self._options.filters.items() for value in values]
        if self._cursor:
            asked.append(("after", self._cursor))
        address = self._options.url.replace("http", "ws", 1)
        return str(httpx.URL(f"{address}/api/v1/live", params=asked))

    async def _read(self, stream: ClientConnection) -> None:
        history: asyncio.Task[None] | None = None
        try:
            while True:
                async with asyncio.timeout(SILENT_SECONDS):
                    frame = _frame(await stream.recv())
                if frame["type"] == "hello" and self._held is not None:
                    # Also on a later connection than the first: what cut that off has cut history off too.
                    history = asyncio.create_task(self._show_history(str(frame.get("at") or frame["as_of"])))
                self._take(frame)
                if history is not None and history.done():
                    history.result()
        finally:
            if history is not None:
                history.cancel()

    def _take(self, frame: Mapping[str, Any]) -> None:
        match frame["type"]:
            case "rows":
                if frame["dropped"]:
                    self._notice(f"{frame['dropped']} lines left out here: more came than could be sent")
                self._show(frame["rows"])
            case "gap":
                self._notice(_gap(frame))
            case "error":
                raise TailError(str(frame["detail"]))
            case _:
                pass
        self._cursor = frame.get("cursor") or self._cursor

    def _show(self, rows: Iterable[Row]) -> None:
        if self._held is not None:
            self._held += rows
            while len(self._held) > MOST_HELD:
                self._held.popleft()
                self._left_out += 1
            return
        for row in rows:
            if row["id"] not in self._shown:
                self._write(self._line(row))

    def _line(self, row: Row) -> str:
        if self._options.is_json:
            return msgspec.json.encode(row).decode()
        return line_of(row, None, is_coloured=self._options.is_coloured)

    async def _show_history(self, began: str) -> None:
        """Print what there is since then, oldest first, then what the stream has brought meanwhile.

        History is told up to where it is complete, and once more when it has come as far as the stream began. Where
        that takes too long, it is said from when on lines may be missing.
        """
        assert self._options.since is not None
        start, until = self._options.since.isoformat(), asyncio.get_running_loop().time() + SETTLE_SECONDS
        try:
            async with httpx.AsyncClient(headers=self._options.headers, timeout=30) as client:
                while True:
                    try:
                        rows, complete = await self._history(client, start)
                        is_whole = complete > began
                        is_last = is_whole or asyncio.get_running_loop().time() > until
                        self._show_past(row for row in rows if is_last or row["ts"] <= complete)
                        if is_last:
                            if not is_whole:
                                self._notice(_not_whole(complete, began))
                            break
                        await self._settle(client, began, until)
                    except (httpx.TransportError, httpx.HTTPStatusError) as error:
                        # If the stream has broken off as well, this ends with it and begins again with the next.
                        if not _may_pass(error) or asyncio.get_running_loop().time() > until:
                            raise
                        await asyncio.sleep(1)
        except (httpx.HTTPError, KeyError, msgspec.MsgspecError) as error:
            self._notice(f"no history ({str(error) or type(error).__name__}); what is new follows")
        held, self._held = self._held or (), None
        if self._left_out:
            self._notice(f"{self._left_out} lines left out here: more came than wait while history is read")
        self._show(held)

    async def _settle(self, client: httpx.AsyncClient, began: str, until: float) -> None:
        """Wait until history has come as far as the stream began; a page of one row tells how far it is."""
        while asyncio.get_running_loop().time() <= until:
            await asyncio.sleep(1)
            if str((await self._page(client, began, "", limit=1))["as_of"] or "") > began:
                return

    def _show_past(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if row["id"] not in self._shown:
                self._shown.add(str(row["id"]))
                self._write(self._line(row))

    async def _history(self, client: httpx.AsyncClient, start: str) -> tuple[list[Row], str]:
        """Rows since start, oldest first, and up to when they are all there."""
        page = await self._page(client, start, "")
        complete, rows = str(page["as_of"] or ""), list[Row](page["items"])
        while page["next_cursor"] and len(rows) < MOST_HISTORY:
            page = await self._page(client, start, page["next_cursor"])
            rows += page["items"]
        if page["next_cursor"] and not self._shown:
            self._notice(f"the newest {len(rows)} lines only; ask for less, or see the page's export")
        return rows[::-1], complete

    async def _page(self, client: httpx.AsyncClient, start: str, cursor: str, *, limit: int = PAGE_ROWS) -> Any:
        asked: dict[str, Any] = {**self._options.filters, "limit": limit, "from": start}
        if cursor:
            asked["cursor"] = cursor
        answer = await client.get(f"{self._options.url}/api/v1/logs", params=asked)
        answer.raise_for_status()
        return answer.json()

    def _notice(self, text: str) -> None:
        self._tell(notice(text, is_coloured=self._options.is_coloured))


def _may_pass(error: httpx.HTTPError) -> bool:
    """Whether the same question may be answered in a moment."""
    return not isinstance(error, httpx.HTTPStatusError) or error.response.status_code in (429, 502, 503, 504)


def _frame(text: str | bytes) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])


def _gap(frame: Mapping[str, Any]) -> str:
    between = f", between {frame['from']} and {frame['to']}" if frame.get("from") and frame.get("to") else ""
    return f"lines are missing here{between}: they are in the history"


def _not_whole(complete: str, began: str) -> str:
    since = complete or "the beginning"
    return f"lines from {since} to {began} may be missing here: not everything is stored yet; ask again later for them"


def _refused(url: str, status: int) -> str:
    if status in (401, 403):
        return f"{url} refuses ({status}): put an API token in TOCSIN_TOKEN, or in the file TOCSIN_TOKEN_FILE names"
    return f"{url} is not logsvc, or not one of this release (HTTP {status})"
