"""`tocsin tail` without a network: what it is asked, how a line looks, and how it refuses."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.eventually import eventually
from tests.ports import free_port
from tocsin.cli import main
from tocsin.tail.follow import Follow
from tocsin.tail.lines import line_of, notice
from tocsin.tail.options import BadOption, Options, read_options

NOW = datetime(2026, 11, 22, 6, 15, tzinfo=UTC)


def options(*arguments: str, is_terminal: bool = True, **environ: str) -> Options:
    return read_options(arguments, environ, is_terminal=is_terminal, now=NOW)


def test_filters_are_the_apis_own_names() -> None:
    asked = options("--queue", "a", "--queue", "b,c", "--job-id", "7", "-q", "time out", "--level", "error")
    assert asked.filters == {"queue": ["a", "b,c"], "job_id": ["7"], "q": ["time out"], "level": ["error"]}


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("90s", "2026-11-22T06:13:30+00:00"),
        ("1d", "2026-11-21T06:15:00+00:00"),
        ("2026-11-22T05:00:00Z", "2026-11-22T05:00:00+00:00"),
    ],
)
def test_since_is_an_age_or_a_time(text: str, since: str) -> None:
    assert (options("--since", text).since or NOW).isoformat() == since


@pytest.mark.parametrize("arguments", [["--since", "soon"], ["--since", "999999999d"], ["--url", "localhost:9001"]])
def test_what_cannot_be_understood_is_refused(arguments: list[str]) -> None:
    with pytest.raises(BadOption):
        options(*arguments)


def test_colours_are_for_terminals_whose_owner_wants_them() -> None:
    assert options().is_coloured
    assert not options(is_terminal=False).is_coloured
    assert not options("--json").is_coloured
    assert not options(NO_COLOR="1").is_coloured


def test_the_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert options(TOCSIN_TOKEN="t").headers == {"Authorization": "Bearer t"}
    assert options(TOCSIN_TOKEN_FILE=str(file)).headers == {"Authorization": "Bearer from-file"}
    assert options().headers == {}
    with pytest.raises(BadOption):
        options(TOCSIN_TOKEN_FILE=str(tmp_path / "none"))


def row(**fields: Any) -> dict[str, Any]:
    known = {"id": "1", "ts": "2026-11-22T06:15:12.123Z", "kind": "event", "level": "error", "env": "prod"}
    return {**known, "source": "main", "queue": "orders", **fields}


def test_a_line_says_when_where_and_what() -> None:
    failed = row(job_id="17", job_name="charge", event="failed", state="failed", attempt=3, max_attempts=3, error="no")
    expected = "06:15:12.123 error prod/main/orders #17 charge failed (3/3): no"
    assert line_of(failed, UTC, is_coloured=False) == expected
    own = row(kind="log", level="info", env="", source="", queue="", service="bridge", message="drained")
    assert line_of(own, UTC, is_coloured=False) == "06:15:12.123 info  bridge drained"
    assert "\x1b[31m" in line_of(failed, UTC, is_coloured=True)


def test_what_a_job_wrote_cannot_steer_the_terminal() -> None:
    hostile = row(job_id="\x1b]0;x\x07", job_name="\u202e", kind="log", message="one\ntwo\r\x1b[2J\x9b", queue="\x08")
    shown = line_of(hostile, UTC, is_coloured=False) + notice("\x1b[2J", is_coloured=False)
    assert shown.isprintable()
    assert "one\\ntwo\\r\\x1b[2J" in shown


def test_it_says_that_logsvc_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert main(["tail", "--url", url]) == 1
    said = capsys.readouterr().err
    assert f"logsvc does not answer at {url}" in said
    assert "Is it running?" in said
    assert main(["tail", "--since", "soon"]) == 2


HELLO = {"type": "hello", "cursor": "W1", "as_of": "2026-11-22T06:15:12.123Z", "at": "2026-11-22T06:15:12.201Z"}


class CutOff:
    """Stands in for a logsvc whose first viewer loses the connection while history is read, and comes back."""

    def __init__(self) -> None:
        self.asked_for_history = asyncio.Event()
        self.is_back = asyncio.Event()
        self.asked: list[str] = []

    async def answer(self, _: ServerConnection, request: Request) -> Response | None:
        """History never comes while the first connection is open."""
        if not request.path.startswith("/api/v1/logs"):
            return None
        self.asked_for_history.set()
        await self.is_back.wait()
        page = {"items": [row(id="old"), row(id="held")], "next_cursor": None, "as_of": "2026-11-22T06:16:00Z"}
        body = msgspec.json.encode(page)
        headers = Headers({"content-type": "application/json", "content-length": str(len(body))})
        return Response(200, "OK", headers, body)

    async def stream(self, viewer: ServerConnection) -> None:
        assert viewer.request is not None
        self.asked.append(viewer.request.path)
        await viewer.send(json.dumps(HELLO))
        if len(self.asked) == 1:
            await self.asked_for_history.wait()
            rows = [row(id="held"), row(id="held too")]
            await viewer.send(json.dumps({"type": "rows", "rows": rows, "dropped": 0, "cursor": "W2"}))
            return
        self.is_back.set()
        await viewer.send(json.dumps({"type": "rows", "rows": [row(id="new")], "dropped": 0, "cursor": "W3"}))
        await viewer.wait_closed()


class Behind:
    """Stands in for a logsvc that has no time when it is first asked, and on which not all is stored then that came
    before the stream began."""

    def __init__(self) -> None:
        self.is_busy = True
        self.pages = [
            {"items": [row(id="second"), row(id="first")], "next_cursor": None, "as_of": "2026-11-22T06:15:12.150Z"},
            {
                "items": [row(id="second"), row(id="late"), row(id="first")],
                "next_cursor": None,
                "as_of": "2026-11-22T06:15:12.300Z",
            },
        ]

    def answer(self, _: ServerConnection, request: Request) -> Response | None:
        if not request.path.startswith("/api/v1/logs"):
            return None
        if self.is_busy:
            self.is_busy = False
            return Response(429, "Too Many Requests", Headers({"content-length": "0"}), b"")
        body = msgspec.json.encode(self.pages.pop(0) if len(self.pages) > 1 else self.pages[0])
        headers = Headers({"content-type": "application/json", "content-length": str(len(body))})
        return Response(200, "OK", headers, body)

    async def stream(self, viewer: ServerConnection) -> None:
        await viewer.send(json.dumps(HELLO))
        await viewer.send(json.dumps({"type": "rows", "rows": [row(id="new")], "dropped": 0, "cursor": "W2"}))
        await viewer.wait_closed()


async def test_history_that_is_behind_the_stream_is_read_again_and_what_was_stored_late_is_shown() -> None:
    lines: list[str] = []
    logsvc = Behind()
    async with serve(logsvc.stream, "127.0.0.1", 0, process_request=logsvc.answer, close_timeout=1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        asked = options("--since", "1h", "--json", "--url", f"http://127.0.0.1:{port}")
        following = asyncio.create_task(Follow(asked, lines.append, lambda _: None).run())
        try:
            await eventually(lambda: len(lines) >= 4 or following.done(), what="all lines shown")
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    assert [json.loads(line)["id"] for line in lines] == ["first", "second", "late", "new"]


async def test_history_that_is_cut_off_begins_again_and_nothing_is_lost_or_told_twice() -> None:
    lines: list[str] = []
    told: list[str] = []
    logsvc = CutOff()
    async with serve(logsvc.stream, "127.0.0.1", 0, process_request=logsvc.answer, close_timeout=1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        asked = options("--since", "1h", "--json", "--url", f"http://127.0.0.1:{port}")
        following = asyncio.create_task(Follow(asked, lines.append, told.append).run())
        try:
            await eventually(lambda: len(lines) >= 4 or following.done(), what="all lines shown")
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    assert [json.loads(line)["id"] for line in lines] == ["held", "old", "held too", "new"]
    assert "after=W2" in logsvc.asked[1]
    assert any("connection lost" in line for line in told)
