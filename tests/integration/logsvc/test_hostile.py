"""Hostile, mistaken and strange requests get a clear answer and change nothing."""

import asyncio
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from logsvc.cursors import ErrorKey, JobKey, MarkerKey, QueueKey, RowKey, SchedulerKey, pack
from tests.eventually import READY_SECONDS
from tests.integration.logsvc.furnished import ROWS
from tests.integration.logsvc.house import House

pytestmark = pytest.mark.asyncio(loop_scope="package")

SQL = [
    "' OR 1=1 --",
    "'; DROP TABLE journal; --",
    "\\' UNION SELECT * FROM system.tables --",
    "{queue:String}",
    "{x:Identifier}",
    "1) OR (1=1",
    "`journal`",
    "/* */ %s %(x)s {} {{0}} $1 ?",
    "\x00'\\",
    "a\nb\tc\r\n",
    "\u202eabc\u202c שלום \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "%25%2527%00",
    "[('a','b')]",
    "NULL",
    "😀" * 50,
]
CUT_OFF = 0
TIMES = [
    "0",
    "-1",
    "1e9",
    "9" * 400,
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    "2026-02-30T00:00:00Z",
    "now()",
]
NUMBERS = ["-1", "0", "99999999999999999999", "0x10", "١٢", "NaN", "", "1;2"]
CURSORS = [
    "AAAA",
    "%%%",
    "W10",
    "e30",
    "A" * 5000,
    pack(RowKey(2**62, "'", -1, 2**62)),
    pack(JobKey(-(2**62), "'", "\\", "\x00", 2**62)),
    pack(QueueKey("'", "", "\x00")),
    pack(SchedulerKey("'", "", "", "\x00")),
    pack(MarkerKey(2**62, "'")),
    pack(ErrorKey("last_seen", 2**62, "'", -(2**60), 2**60)),
    pack(ErrorKey("last_seen", 1, "'", 5, 4)),
]
LISTS = {
    "logs": ("env", "service", "source", "queue", "job_id", "level", "state", "kind", "event", "fingerprint", "q"),
    "jobs": ("env", "source", "queue", "state", "name", "id", "q"),
    "queues": ("env", "source", "queue"),
    "schedulers": ("env", "source", "queue", "scheduler"),
    "errors": ("env", "source", "queue", "q"),
    "markers": ("env", "service"),
    "histogram": ("env", "queue", "job_id", "q"),
    "durations": ("env", "source", "queue", "name"),
    "backlog": ("env", "source", "queue"),
}
SEGMENTS = [
    "a/b",
    "x//y/",
    "%",
    "%2F",
    "two words",
    "שלום",
    "\u202eabc",
    "\x00",
    "..",
    ".",
    "../../etc/passwd",
    "a\\b",
    "'; DROP TABLE journal; --",
    "{x:String}",
    "😀",
    "?q=1",
    "#",
    "x" * 3000,
    " ",
    ":",
    "a:b",
]


async def ask(client: httpx.AsyncClient, path: str, statuses: tuple[int, ...], **asked: str) -> httpx.Response:
    """Ask, and see that the answer is one of those, and that a refusal says why."""
    answer = await client.get(f"/api/v1/{path}", params=asked)
    assert answer.status_code in statuses, (path, asked, answer.status_code, answer.text[:500])
    if answer.status_code >= 400:
        assert answer.json()["detail"], (path, asked)
        assert "DB::" not in answer.text
        assert "SELECT" not in answer.text
    return answer


async def test_sql_in_any_filter_is_a_name_that_nothing_has(known: House) -> None:
    async with httpx.AsyncClient(base_url=known.url, timeout=READY_SECONDS) as client:
        for (path, names), value in product(LISTS.items(), SQL):
            answer = await ask(client, path, (200, 400), **dict.fromkeys(names, value))
            if answer.status_code == 200 and path in ("logs", "jobs", "queues", "errors"):
                assert answer.json()["items"] == [], (path, value)
            if "q" in names:
                await ask(client, path, (200, 400), q=value)
        for path, name in (("errors", "sort"), ("histogram", "by")):
            await ask(client, path, (400,), **{name: SQL[0]})
        assert len((await client.get("/api/v1/queues")).json()["items"]) == 1
    assert await known.rows_told() == ROWS


async def test_absurd_times_numbers_and_cursors_are_refused_or_bounded(known: House) -> None:
    async with httpx.AsyncClient(base_url=known.url, timeout=READY_SECONDS) as client:
        timed = ("logs", "jobs", "errors", "markers", "histogram", "durations", "backlog")
        for path, name, value in product(timed, ("from", "to"), TIMES):
            await ask(client, path, (200, 400), **{name: value})
        await ask(client, "histogram", (200,), **{"from": TIMES[4], "to": TIMES[5]} | {"from": "0"})
        for path, value in product(("logs", "jobs", "queues", "schedulers", "errors", "markers"), NUMBERS):
            await ask(client, path, (400,), limit=value)
        for path, value in product(("histogram", "durations", "backlog"), NUMBERS):
            await ask(client, path, (400,), bucket=value)
        for path, value in product(("logs", "jobs", "queues", "schedulers", "errors", "markers"), CURSORS):
            await ask(client, path, (200, 400), cursor=value)
        await ask(client, "logs", (400,), q="a OR b")
        await ask(client, "jobs/main/orders/7", (400,), added_at="yesterday")


async def test_any_name_may_stand_in_a_path(known: House) -> None:
    async with httpx.AsyncClient(base_url=known.url, timeout=READY_SECONDS) as client:
        for name in SEGMENTS:
            one = quote(name, safe="").replace(".", "%2E")
            for path in (
                f"jobs/main/orders/{one}",
                f"jobs/{one}/{one}/{one}",
                f"queues/main/{one}",
                f"errors/{one}",
                f"dead-letters/{one}",
            ):
                # A name longer than any can be is told so.
                await ask(client, path, (404,) if len(name) <= 1000 else (400, 404))


async def test_what_is_no_request_of_ours_is_refused(known: House) -> None:
    for target in (
        b"/api/v1/../../etc/passwd",
        b"/api/v1/jobs/main/orders/%",
        b"/api/v1/jobs/main/orders/%zz",
        b"/api/v1/jobs/main/orders/%ff%fe",
        b"/api/v1/jobs/main/a/b/c/d",
        b"/api/v1/jobs//orders/",
        b"/api/v1/logs?q=%ff%fe",
        b"/api/v1/logs?q=%ED%A0%80",
        b"/api/v1/logs?;;;&&&===",
        b"/api/v1/logs?q[]=a&q[b]=c",
        b"//api/v1/logs",
        b"/api/v1/logs/",
        b"/assets/../../../etc/passwd",
    ):
        status, body = await raw(known, b"GET", target)
        assert 200 <= status < 500, (target, status, body)
        assert b"root:" not in body
    for method in (b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"FOO"):
        status, _ = await raw(known, method, b"/api/v1/logs")
        assert status == 405, method
    megabyte = b"x" * 1_000_000
    for target in (b"/api/v1/logs?q=" + megabyte, b"/api/v1/jobs/main/orders/" + megabyte):
        status, body = await raw(known, b"GET", target)
        assert status in (CUT_OFF, 400), (status, body[:200])
    status, body = await raw(known, b"GET", b"/api/v1/logs?" + b"queue=a&" * 5_000)
    assert status == 414
    assert json.loads(body)["detail"].startswith("the query string is longer")
    status, _ = await raw(known, b"GET", b"/api/v1/logs?q=" + b"x" * 1001)
    assert status == 400
    big: Any = {"env": "x" * 2_000_000, "service": "", "version": ""}
    answer = await known.post("/api/v1/markers", big)
    assert answer.status_code == 413
    async with httpx.AsyncClient(base_url=known.url, timeout=READY_SECONDS) as client:
        for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"env":1}', b"[" * 100_000):
            refused = await client.post("/api/v1/markers", content=body)
            assert refused.status_code == 400, (body[:20], refused.text)
            assert refused.json()["detail"]


@pytest.mark.parametrize("phase", ["fuzzing", pytest.param("coverage", marks=pytest.mark.chaos)])
async def test_the_api_is_what_its_description_says(known: House, tmp_path: Path, phase: str) -> None:
    """schemathesis asks every route for every parameter, and compares answers with the description.

    coverage: every bound and every kind of mistake of each, some 2,300 questions, which take a minute and more.
    """
    asking = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "schemathesis.cli", "--config-file", str(Path(__file__).with_name("schemathesis.toml"))),
        *("run", f"{known.url}/openapi.json", "--phases", phase, "--max-examples", "8", "--seed", "1"),
        *("--workers", "2", "--no-color"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )
    try:
        output, _ = await asyncio.wait_for(asking.communicate(), 400)
    finally:
        if asking.returncode is None:
            asking.kill()
            await asking.wait()
    assert asking.returncode == 0, output.decode()[-6000:]


async def test_nothing_of_it_was_an_error_of_ours(known: House) -> None:
    assert await known.rows_told() == ROWS
    assert "request_failed" not in known.log()
    assert "Traceback" not in known.log()


async def raw(home: House, method: bytes, target: bytes) -> tuple[int, bytes]:
    """Send a request exactly as it is; returns status and body. CUT_OFF: it was not read to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
    try:
        async with asyncio.timeout(READY_SECONDS):
            writer.write(method + b" " + target + b" HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            answer = await reader.read()
    except ConnectionError:
        return CUT_OFF, b""
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        body = body.partition(b"\r\n")[2]
    return int(head.split(b" ", 2)[1]), body
