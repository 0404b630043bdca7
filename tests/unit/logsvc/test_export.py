"""A file of rows: what stands in it, when it is cut, and what a reader that does not read costs."""

import asyncio
import csv
import io
import json
import tracemalloc
from collections.abc import Sequence
from typing import Any, cast

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from logsvc.api.build import build_api
from logsvc.api.export import CHUNK_BYTES, Exports, FileAnswer, RowPage
from logsvc.api.files import COLUMNS, Csv, Ndjson
from logsvc.api.journal import Journal
from logsvc.api.logs import logs_routes
from logsvc.api.progress import progress_routes
from logsvc.auth.who import SCOPE_KEY, Who
from logsvc.errors import QueryTooHeavy, StoreDown, TooMany
from logsvc.rows import Row
from tests.eventually import READY_SECONDS, eventually
from tocsin.health import Health
from tocsin.roles import Role

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20A1"]


def row(number: int, **fields: Any) -> Row:
    return Row(id=f"i{number}", ts="2026-11-22T06:15:12.123Z", kind="log", level="info", **fields)


def exports() -> Exports:
    return Exports(asyncio.Event(), Counter("rows", "rows", ["format"], registry=CollectorRegistry()))


class Source:
    """Pages of rows, and what happens between them."""

    def __init__(self, *pages: Sequence[Row] | Exception) -> None:
        self.pages = list(pages)

    async def __call__(self) -> RowPage:
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return RowPage(page, has_more=bool(self.pages))


async def written(writing: Csv | Ndjson, *pages: Sequence[Row] | Exception) -> str:
    source = Source(*pages)
    first = await source()
    one = exports()
    return b"".join([chunk async for chunk in one.chunks(one.admit("ann"), writing, first, source)]).decode()


async def test_no_cell_of_a_spreadsheet_is_a_formula_and_no_text_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*FORMULAS, 'a "b",\nc', "שלום", "a=b", ""]
    body = await written(Csv(), [row(n, message=text, stack=["=x", "y"]) for n, text in enumerate(texts)])
    names, *rows, [last] = csv.reader(io.StringIO(body, newline=""))
    assert tuple(names) == COLUMNS
    told = [dict(zip(names, one, strict=True)) for one in rows]
    assert [one["message"] for one in told] == [f"'{text}" for text in FORMULAS] + texts[len(FORMULAS) :]
    assert told[0]["stack"] == "'=x\ny"
    assert last == f"# complete: {len(texts)} rows"


async def test_a_file_that_was_cut_says_so_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.api.export.TRY_AGAIN_SECONDS", 0)
    whole, page = [row(0), row(1)], [row(2)]
    down = [StoreDown("gone")] * 4
    lines = (await written(Ndjson(), whole, whole, *down)).splitlines()
    assert [json.loads(line).get("id") for line in lines] == ["i0", "i1", "i0", "i1", None]
    assert json.loads(lines[-1])["end"] == {
        "is_complete": False,
        "rows": 4,
        "detail": "ClickHouse could not be reached any more",
    }
    assert (await written(Csv(), whole, QueryTooHeavy("x"))).splitlines()[-1].startswith('"# incomplete: 2 rows, then')
    busy = (await written(Ndjson(), whole, *[TooMany("x")] * 4)).splitlines()[-1]
    assert json.loads(busy)["end"]["detail"] == "too many other questions were being answered"
    healed = await written(Ndjson(), whole, StoreDown("a moment"), page)
    assert json.loads(healed.splitlines()[-1]) == {"end": {"is_complete": True, "rows": 3}}
    assert json.loads((await written(Ndjson(), [])).splitlines()[-1]) == {"end": {"is_complete": True, "rows": 0}}


async def test_a_file_ends_with_the_service_and_says_so() -> None:
    one, source = exports(), Source([row(0)], [row(1)])
    chunks = one.chunks(one.admit("ann"), Ndjson(), await source(), source)
    seen = [await anext(chunks), await anext(chunks)]
    one.stop.set()
    seen += [chunk async for chunk in chunks]
    assert json.loads(seen[-1])["end"] == {"is_complete": False, "rows": 1, "detail": "Tocsin was stopped"}


class Reader:
    """The far end of an answer: takes so many pieces, then nothing more; or goes away."""

    def __init__(self, takes: int = 10**6) -> None:
        self.takes = takes
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if len(self.sent) >= self.takes:
            await asyncio.Event().wait()
        self.sent.append(message)
        await asyncio.sleep(0)


async def endless() -> RowPage:
    return RowPage([row(n, message="x" * 1000) for n in range(200)], has_more=True)


async def test_a_reader_that_reads_nothing_is_let_go_and_no_row_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.api.export.STALL_SECONDS", 0.05)
    pages = 0

    async def counted() -> RowPage:
        nonlocal pages
        pages += 1
        return await endless()

    one, reader = exports(), Reader(takes=6)
    export = one.admit("ann")
    answer = FileAnswer(export, one.chunks(export, Ndjson(), await endless(), counted), "x", {})
    async with asyncio.timeout(READY_SECONDS):
        await answer({}, reader.receive, reader.send)
    assert pages <= 1
    assert all(len(message.get("body", b"")) <= CHUNK_BYTES for message in reader.sent)
    assert reader.sent[-1]["more_body"], "an answer that was not ended is not taken for whole"
    assert one.under_way == {}


async def test_a_reader_that_leaves_ends_the_export() -> None:
    one, reader = exports(), Reader()
    export = one.admit("ann")
    answer = FileAnswer(export, one.chunks(export, Ndjson(), await endless(), endless), "x", {})
    sending = asyncio.create_task(answer({}, reader.receive, reader.send))
    await eventually(lambda: len(reader.sent) >= 10, what="ten pieces sent")
    reader.gone.set()
    async with asyncio.timeout(READY_SECONDS):
        await sending
    assert one.under_way == {}


async def test_a_named_export_tells_its_person_alone_how_far_it_is_and_ends_when_they_say_so() -> None:
    one, registry = exports(), CollectorRegistry()
    api = as_who_it_says(build_api(progress_routes(one), Health(), registry, lambda: None))
    export = one.admit("ann", "x-1")
    export.rows = 3
    source = Source([row(0)], [row(1)], [row(2)])
    chunks = one.chunks(export, Ndjson(), await source(), source)
    seen = [await anext(chunks) for _ in range(3)]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:

        async def ask(user_id: str, method: str = "GET") -> httpx.Response:
            return await client.request(method, "/api/v1/exports/x-1", headers={"x-user": user_id})

        assert (await ask("ann")).json() == {"rows": 3, "sent": 1, "is_over": False, "incomplete": None}
        assert (await ask("bob")).json() is None
        assert (await ask("bob", "DELETE")).status_code == 404
        assert (await ask("ann", "DELETE")).status_code == 204
        seen += [chunk async for chunk in chunks]
        told = {"rows": 3, "sent": 2, "is_over": True, "incomplete": "it was cancelled"}
        assert (await ask("ann")).json() == told
    assert json.loads(seen[-1])["end"] == {"is_complete": False, "rows": 2, "detail": "it was cancelled"}
    assert one.under_way == {}


def test_a_named_export_that_was_refused_says_why_and_only_so_many_are_remembered() -> None:
    one = exports()
    running = [one.admit("ann", f"r{n}") for n in range(4)]
    with pytest.raises(TooMany):
        one.admit("ann", "refused")
    refused = one.named("ann", "refused")
    assert refused is not None
    assert (refused.is_over, refused.incomplete[:22]) == (True, "4 exports of yours are")
    for n in range(200):
        one.admit("bob", f"b{n}").end("")
    assert [one.named("ann", f"r{n}") for n in range(4)] == running, "what is under way is not forgotten"
    assert one.named("ann", "refused") is None


def as_who_it_says(api: Any) -> Any:
    """The same app, for the person whom the header x-user names."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        user_id = dict(scope["headers"])[b"x-user"].decode()
        await api({**scope, SCOPE_KEY: Who("session", user_id, user_id, Role.VIEWER)}, receive, send)

    return app


class Waiting:
    """A journal whose ClickHouse says nothing until it is let, and then that it is down."""

    def __init__(self) -> None:
        self.let = asyncio.Event()

    async def since(self) -> None:
        await self.let.wait()
        raise StoreDown("gone")

    def as_of(self) -> None:
        return None


async def test_so_many_exports_at_once_of_each_person_and_of_all_however_many_ask_at_the_same_time() -> None:
    one, journal, registry = exports(), Waiting(), CollectorRegistry()
    api = as_who_it_says(build_api(logs_routes(cast(Journal, journal), one), Health(), registry, journal.as_of))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:

        def ask(user_id: str, times: int) -> list[asyncio.Task[httpx.Response]]:
            asking = [client.get(f"/api/v1/logs.{kind}", headers={"x-user": user_id}) for kind in ("csv", "ndjson")]
            asking += [client.get("/api/v1/logs.csv", headers={"x-user": user_id}) for _ in range(times - 2)]
            return [asyncio.create_task(one) for one in asking]

        async def refused(asked: list[asyncio.Task[httpx.Response]], number: int) -> str:
            await eventually(lambda: sum(one.done() for one in asked) == number, what="those refused")
            answers = [one.result() for one in asked if one.done()]
            assert {answer.status_code for answer in answers} <= {429}
            return answers[0].text if answers else ""

        asked = ask("ann", 20)
        assert "4 exports of yours are under way" in await refused(asked, 16)
        others = ask("bob", 4) + ask("cid", 4)
        await eventually(lambda: one.under_way.total() == 12, what="the others let in")
        late = ask("dan", 2)
        assert "12 exports are under way" in await refused(late, 2)
        journal.let.set()
        answers = await asyncio.gather(*asked, *others)
    assert sorted(answer.status_code for answer in answers) == [429] * 16 + [503] * 12
    assert one.under_way == {}, "what failed before it began leaves its place"


async def test_memory_stays_flat_however_many_rows_there_are() -> None:
    async def most_bytes(pages: int) -> int:
        left = iter(range(pages))

        async def page() -> RowPage:
            return RowPage([row(n, message="x" * 500) for n in range(100)], has_more=next(left, None) is not None)

        tracemalloc.start()
        try:
            one = exports()
            async for _ in one.chunks(one.admit("ann"), Csv(), await page(), page):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await most_bytes(1)  # what is made once
    assert await most_bytes(100) < 2 * await most_bytes(3)
