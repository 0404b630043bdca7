"""Who may ask, which address is whose, and how the page is served."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from structlog.contextvars import get_contextvars

from logsvc.auth.access import Access
from logsvc.auth.door import Door
from logsvc.auth.limits import PER_ADDRESS, WINDOW_SECONDS, Attempts
from logsvc.auth.login import Login
from logsvc.auth.logouts import Logouts
from logsvc.auth.questions import AT_ONCE_EACH
from logsvc.bot import Bot
from logsvc.front import LIVE, Front
from logsvc.live.origin import Gate
from logsvc.page import Page
from logsvc.settings import LogsvcSettings
from tests.eventually import eventually
from tocsin.access import AccessList
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.settings import read


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    assets = tmp_path / "dist" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text('<html><head><base href="/" /></head></html>')
    (assets / "index-abc.js").write_text("plain")
    (assets / "index-abc.js.br").write_bytes(b"brotli")
    (assets / "index-abc.js.gz").write_bytes(b"gzip")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "dist"


@pytest.mark.parametrize(
    ("host", "origin", "is_admitted"),
    [
        ("127.0.0.1:9001", None, True),
        ("127.0.0.1:9001", "http://127.0.0.1:9001", True),
        ("localhost:9001", "http://localhost:5173", False),
        ("localhost:9001", "http://127.0.0.1:9001", False),
        ("localhost:5173", "http://localhost:5173", True),  # Vite's own server, which passes the page's Host on
        ("tocsin.example.com", "http://localhost:5173", False),
        ("[::1]:9001", "http://[::1]:9001", True),
        ("tocsin.example.com", "https://tocsin.example.com", True),
        ("127.0.0.1:9001", "https://tocsin.example.com", True),
        ("127.0.0.1:9001", "https://evil.example", False),
        ("127.0.0.1:9001", "https://tocsin.example.com.evil.example", False),
        ("127.0.0.1:9001", "https://tocsin.example.com:8443", False),
        ("tocsin.example.com", "http://tocsin.example.com", False),  # not TLS: who knows whose page that is
        ("tocsin.example.com:9002", "https://tocsin.example.com", True),  # our page at WEBSOCKET_PORT
        ("tocsin.example.com:9002", "https://tocsin.example.com:9002", False),
        ("127.0.0.1:9001", "null", False),
        ("127.0.0.1:9001", "", False),
        ("127.0.0.1:9001", "http://[", False),
        ("evil.example:9001", "http://evil.example:9001", False),
        ("evil.example:9001", None, False),
        ("", None, False),
    ],
)
def test_only_our_own_pages_are_admitted(host: str, origin: str | None, is_admitted: bool) -> None:
    gate = Gate.of("https://tocsin.example.com/sub/")
    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin is not None else [])
    assert gate.admits(headers) is is_admitted


@pytest.mark.parametrize(
    ("host", "origin", "is_admitted"),
    [
        ("127.0.0.1:9002", "http://127.0.0.1:9001", True),  # our page at WEBSOCKET_PORT
        ("[::1]:9002", "http://[::1]:9001", True),
        ("127.0.0.1:9001", "http://127.0.0.1:3000", True),
        ("127.0.0.1:9001", "http://localhost:3000", False),
        ("127.0.0.1:9001", "https://127.0.0.1:3000", False),
        ("127.0.0.1:9002", "http://127.0.0.1:9003", False),
    ],
)
def test_other_pages_are_admitted_if_they_are_named(host: str, origin: str, is_admitted: bool) -> None:
    gate = Gate.of(None, ["http://127.0.0.1:3000"], 9001)
    assert gate.admits([(b"host", host.encode()), (b"origin", origin.encode())]) is is_admitted


@pytest.mark.parametrize(
    ("accepted", "coding", "body"),
    [
        ("br, gzip", b"br", b"brotli"),
        ("gzip", b"gzip", b"gzip"),
        ("br;q=0, gzip", b"gzip", b"gzip"),
        ("", None, b"plain"),
    ],
)
def test_an_asset_comes_packed_as_the_browser_likes_and_may_be_kept(
    dist: Path, accepted: str, coding: bytes | None, body: bytes
) -> None:
    answer = Page(dist).answer("/assets/index-abc.js", {b"accept-encoding": accepted.encode()})
    headers = dict(answer.headers)
    assert (answer.status, answer.body, headers.get(b"content-encoding")) == (200, body, coding)
    assert b"immutable" in headers[b"cache-control"]
    assert headers[b"content-type"].startswith(b"text/javascript")
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"vary"] == b"accept-encoding"


@pytest.mark.parametrize("path", ["/assets/../../secret.txt", "/assets/no.js", "/assets/index-abc.js.br", "/assets/"])
def test_nothing_but_the_assets_is_served(dist: Path, path: str) -> None:
    assert Page(dist).answer(path, {}).status == 404


def test_the_index_is_asked_for_each_time_and_knows_its_base(dist: Path) -> None:
    page = Page(dist, "/tocsin/")
    answer = page.answer("/queues", {})
    headers = dict(answer.headers)
    assert b'<base href="/tocsin/" />' in answer.body
    assert headers[b"cache-control"] == b"no-cache"
    assert b"default-src 'none'" in headers[b"content-security-policy"]
    assert page.answer("/logs", {b"if-none-match": headers[b"etag"]}).status == 304


def test_a_page_that_was_not_built_says_so(tmp_path: Path) -> None:
    answer = Page(tmp_path).answer("/logs", {})
    assert answer.status == 503
    assert b"has not been built" in answer.body


class Spy:
    def __init__(self) -> None:
        self.paths: list[str] = []
        self.let = asyncio.Event()
        """Not set: it answers nobody yet."""
        self.let.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        self.headers = dict(scope["headers"])
        self.log_context = get_contextvars()
        await self.let.wait()


def _headers(given: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]


async def ask(
    front: Front,
    raw: str,
    host: str = "localhost",
    kind: str = "http",
    method: str = "GET",
    query: bytes = b"",
    body: bytes = b"",
    peer: str = "",
    **headers: str,
) -> list[Any]:
    from urllib.parse import unquote

    scope = {
        "type": kind,
        "method": method,
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query,
        "headers": [(b"host", host.encode()), *_headers(headers)],
        "client": (peer, 5),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    await front(scope, receive, send)
    return sent


Says = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


def make_front(
    dist: Path, base: str = "/", bot_says: httpx.Response | Says | None = None, /, **more: str
) -> tuple[Front, Spy, Spy, Spy]:
    api, socket, events = Spy(), Spy(), Spy()
    settings = read(
        LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", "CLICKHOUSE_URL": "chdb:///x", **more}
    )
    registry = CollectorRegistry()
    if isinstance(bot_says, httpx.Response):
        answer = bot_says
        network = httpx.MockTransport(lambda _: answer)
    else:
        network = httpx.MockTransport(bot_says) if bot_says is not None else None
    client = httpx.AsyncClient(transport=network)
    bot = Bot(settings, Directory(settings, registry), Breakers(settings, registry), client)
    access = Access(bot)
    access.learn(AccessList(as_of="2026-01-01T00:00:00Z", tokens=[], ended=[]))
    door = Door(settings, access, Attempts())
    gate = Gate.of(str(settings.public_url) if settings.public_url else None)
    login = Login(door, access, bot, Logouts(bot), base)
    front = Front(api, Page(dist, base), {LIVE: socket}, events, gate, door, login, base)
    return front, api, socket, events


LETTER = "/api/v1/dead-letters/redis%3Amain%3Aa%2Fb%25%3A1-0"


@pytest.mark.parametrize("base", ["", "/tocsin"])
async def test_names_in_a_path_arrive_as_they_were_sent(dist: Path, base: str) -> None:
    front, api, _, _ = make_front(dist, f"{base}/")
    for path in ("/api/v1/jobs/main/a%2Fb/x%2F%2Fy%2F", "/api/v1/queues/main/%25", "/api/v1/jobs/m/%D7%A9/1", LETTER):
        await ask(front, base + path)
        assert api.paths.pop() == path
    await ask(front, f"{base}/api/v1/%6Cogs")
    assert api.paths == ["/api/v1/logs"]


async def test_log_lines_of_a_request_name_it_as_the_proxy_does(dist: Path) -> None:
    front, api, _, _ = make_front(dist)
    for given, named in (("a8f3-17", {"edge_id": "a8f3-17"}), ("x" * 65, {}), ('"}\n', {}), ("", {})):
        await ask(front, "/api/v1/logs", x_request_id=given)
        assert api.log_context == named
    assert get_contextvars() == {}


async def test_each_address_has_its_server(dist: Path) -> None:
    front, api, socket, events = make_front(dist)
    await ask(front, "/api/v1/live", kind="websocket")
    await ask(front, "/api/v1/live/sse")
    assert len(socket.paths) == len(events.paths) == 1
    assert (await ask(front, "/api/v1/other", kind="websocket"))[0]["type"] == "websocket.close"
    assert (await ask(front, "/"))[0]["status"] == 307
    assert (await ask(front, "/logs"))[0]["status"] == 200
    assert (await ask(front, "/logs", method="POST"))[0]["status"] == 405
    assert api.paths == []


async def test_an_unknown_host_sees_health_only(dist: Path) -> None:
    front, api, _, _ = make_front(dist)
    assert (await ask(front, "/api/v1/logs", host="evil.example"))[0]["status"] == 403
    assert (await ask(front, "/logs", host="evil.example"))[0]["status"] == 403
    await ask(front, "/health/ready", host="10.0.0.7:9001")
    assert api.paths == ["/health/ready"]


@pytest.mark.parametrize("base", ["", "/tocsin"])
async def test_metrics_are_open_only_by_the_path_that_a_proxy_keeps_to_itself(dist: Path, base: str) -> None:
    front, api, _, _ = make_front(dist, f"{base}/", **{**LOCKED, "PUBLIC_URL": f"https://tocsin.example.com{base}"})
    host = "tocsin.example.com"
    for path in ("/%6detrics", "/health/%72eady", "/tocsin/metrics", "/tocsin/health/ready", "/metrics/../api/v1/logs"):
        assert (await ask(front, path, host))[0]["status"] == 401, path
    assert api.paths == []
    await ask(front, "/metrics", "10.0.0.7:9001", query=b"x=1")
    assert api.paths == ["/metrics"]


LOCKED = {
    "SESSION_SECRET": "s" * 40,
    "TOCSIN_SERVICE_TOKEN": "service-token-of-the-test",
    "PUBLIC_URL": "https://tocsin.example.com",
}
BEARER = "Bearer service-token-of-the-test"


async def test_with_a_login_nothing_is_served_before_it(dist: Path) -> None:
    front, api, socket, events = make_front(dist, **LOCKED)
    host = "tocsin.example.com"
    paths = (
        "/api/v1/logs",
        "/api/v1/jobs/a/b/c",
        "/api//v1/tokens",
        "/openapi.json",
        "/api/v1/live/sse",
        "/x",
    )
    for path in paths:
        for method in ("GET", "POST", "OPTIONS"):
            assert (await ask(front, path, host, method=method))[0]["status"] == 401, path
    refused = await ask(front, "/api/v1/live", host, kind="websocket")
    assert refused == [{"type": "websocket.close", "code": 1008}]
    assert api.paths == socket.paths == events.paths == []
    for page in ("/logs", "/queues", "/job/a/b"):
        answer = (await ask(front, page, host))[0]
        assert answer["status"] == 303
        assert (b"location", b"/login") in answer["headers"]
    assert (await ask(front, "/assets/index-abc.js", host))[0]["status"] == 200
    await ask(front, "/health/ready", host="10.0.0.7:9001")
    assert api.paths.pop() == "/health/ready"
    assert (await ask(front, "/login", host="evil.example"))[0]["status"] == 403


async def test_who_shows_a_token_may_call_us_by_any_name(dist: Path) -> None:
    front, api, socket, _ = make_front(dist, **LOCKED)
    assert (await ask(front, "/api/v1/logs", host="10.0.0.7:9001"))[0]["status"] == 403
    for status in [401] * PER_ADDRESS + [429]:
        [head, _] = await ask(front, "/api/v1/logs", host="10.0.0.7:9001", authorization="Bearer wrong")
        assert head["status"] == status
    await ask(front, "/api/v1/logs", host="10.0.0.7:9001", authorization=BEARER)
    await ask(front, "/api/v1/live", host="10.0.0.7:9001", kind="websocket", authorization=BEARER)
    assert api.paths == ["/api/v1/logs"]
    assert socket.paths == ["/api/v1/live"]
    assert Gate().admits(socket.headers.items())


async def test_logins_tried_all_at_once_are_no_more_than_may_fail(dist: Path) -> None:
    let, asked = asyncio.Event(), 0

    async def bot(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        await let.wait()
        return httpx.Response(404, json={"error": "unknown", "message": "no", "mend": ""})

    front, _, _, _ = make_front(dist, "/", bot, BOT_URL="http://127.0.0.1:1", **LOCKED)
    origin = LOCKED["PUBLIC_URL"]
    guess = functools.partial(ask, front, "/login", "tocsin.example.com", method="POST", origin=origin)
    guesses = [asyncio.create_task(guess(body=b"ticket=%d" % number)) for number in range(50)]
    held_up = 50 - PER_ADDRESS
    await eventually(lambda: sum(one.done() for one in guesses) == held_up, what="those held up")
    let.set()
    statuses = [head["status"] for head, _ in await asyncio.gather(*guesses)]
    assert sorted(statuses) == [404] * PER_ADDRESS + [429] * held_up
    assert asked == PER_ADDRESS


async def test_a_login_link_that_is_only_looked_at_is_not_used(dist: Path) -> None:
    front, _, _, _ = make_front(dist, "/tocsin/", **LOCKED)
    head, body = await ask(front, "/tocsin/login", "tocsin.example.com", query=b"ticket=abc%22%3E")
    assert head["status"] == 200
    assert b'value="abc&quot;&gt;"' in body["body"]
    headers = dict(head["headers"])
    assert headers[b"referrer-policy"] == b"strict-origin"
    assert headers[b"cache-control"] == b"no-store"
    assert b"default-src 'none'" in headers[b"content-security-policy"]
    answer = (await ask(front, "/tocsin/logs", "tocsin.example.com", query=b"queue=a"))[0]
    assert (b"location", b"/tocsin/login") in answer["headers"]
    kept = dict(answer["headers"])[b"set-cookie"]
    assert kept.startswith(b"tocsin_next=logs%3Fqueue%3Da; ")
    assert kept.endswith(b"HttpOnly; SameSite=Lax; Secure")
    posted = (await ask(front, "/tocsin/login", "tocsin.example.com", method="POST"))[0]
    assert posted["status"] == 403  # no browser that says which page asks
    open_one, _, _, _ = make_front(dist)
    assert (await ask(open_one, "/login", "localhost"))[0]["status"] == 303


@pytest.mark.parametrize(
    ("following", "lands"), [("incidents/17", "incidents/17"), ("//evil.example", "logs"), ("", "queues")]
)
async def test_a_link_that_leads_somewhere_lands_there_after_the_login(dist: Path, following: str, lands: str) -> None:
    person = {"user_id": "7", "name": "Ann", "role": "viewer"}
    times = {"issued_at": "2026-11-22T06:15:12+00:00", "expires_at": "2126-11-22T06:15:12+00:00"}
    redeemed = httpx.Response(200, json={**person, **times})
    front, _, _, _ = make_front(dist, "/tocsin/", redeemed, BOT_URL="http://127.0.0.1:1", **LOCKED)
    host, wanted = "tocsin.example.com", following.encode()
    _, shown = await ask(front, "/tocsin/login", host, query=b"next=%s&ticket=abc" % wanted)
    told = lands if following else ""
    assert f'name="next" type="hidden" value="{told}"'.encode() in shown["body"]
    body = b"ticket=abc&next=" + wanted
    [head, _] = await ask(
        *(front, "/tocsin/login", host),
        method="POST",
        body=body,
        origin=LOCKED["PUBLIC_URL"],
        cookie="tocsin_next=queues",
    )
    assert (head["status"], dict(head["headers"])[b"location"]) == (303, f"/tocsin/{lands}".encode())
    cookie = next(value for name, value in head["headers"] if name == b"set-cookie").decode().partition(";")[0]
    _, shown = await ask(front, "/tocsin/login", host, query=b"next=%s&ticket=abc" % wanted, cookie=cookie)
    assert f'<strong>Ann</strong>, viewer: <a href="{told or "logs"}">go on</a>'.encode() in shown["body"]


async def test_whoever_guesses_links_has_to_wait_and_is_told_how_long(dist: Path) -> None:
    unknown = httpx.Response(404, json={"error": "unknown", "message": "no such link"})
    front, _, _, _ = make_front(dist, "/", unknown, BOT_URL="http://127.0.0.1:1", **LOCKED)
    answers = [
        await ask(
            front, "/login", "tocsin.example.com", method="POST", body=b"ticket=%d" % n, origin=LOCKED["PUBLIC_URL"]
        )
        for n in range(PER_ADDRESS + 2)
    ]
    assert [head["status"] for head, _ in answers] == [404] * PER_ADDRESS + [429] * 2
    head, said = answers[-1]
    assert 0 < int(dict(head["headers"])[b"retry-after"]) <= WINDOW_SECONDS
    assert b"Too many failed logins" in said["body"]


async def test_who_has_many_questions_under_way_is_held_up_and_nobody_else(dist: Path) -> None:
    """Two people by a proxy, then the bot, which asks for many."""
    front, api, _, _ = make_front(
        dist, TRUSTED_PROXIES="10.0.0.5", LOGSVC_PROXY_USER_HEADER="X-User", LOGSVC_PROXY_ROLES="*=viewer", **LOCKED
    )
    ask_as = functools.partial(ask, front, "/api/v1/logs", "tocsin.example.com", peer="10.0.0.5")
    api.let.clear()
    async with asyncio.TaskGroup() as group:
        for number in range(1, AT_ONCE_EACH + 1):
            group.create_task(ask_as(x_user="ann"))
            await eventually(lambda number=number: len(api.paths) == number, what="one more under way")
        [head, _] = await ask_as(x_user="ann")
        assert (head["status"], dict(head["headers"])[b"retry-after"]) == (429, b"5")
        group.create_task(ask_as(x_user="bob"))
        group.create_task(ask_as(authorization=BEARER))
        await eventually(lambda: len(api.paths) == AT_ONCE_EACH + 2, what="the others let in")
        api.let.set()
    assert await ask_as(x_user="ann") == [], "as soon as they have ended"
