"""The first to see a request: it sorts out the live stream, the page and the API, and lets in who may come in.

Job ids and queue names may hold anything, slashes and percent signs too. A server hands an application the decoded
path, where `a%2Fb` and `a/b` are the same; below RAW_PREFIXES the path is put back as it was sent, so that each segment
is one name, and the handler decodes it.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from typing import Any

import msgspec
from structlog.contextvars import bound_contextvars

from logsvc.auth.door import Door
from logsvc.auth.login import PATHS, Login
from logsvc.auth.questions import Questions
from logsvc.auth.who import SCOPE_KEY, Denied
from logsvc.live.origin import Gate
from logsvc.page import Answer, Page, send_answer

App = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]

RAW_PREFIXES = ("/api/v1/jobs/", "/api/v1/queues/", "/api/v1/errors/", "/api/v1/dead-letters/")
LIVE = "/api/v1/live"
EVENTS = "/api/v1/live/sse"
REFRESHES = "/ws"
MOST_QUERY_BYTES = 32 * 1024
OPEN = frozenset({"/health/live", "/health/ready", "/metrics"})
"""What Prometheus, Consul and a load balancer ask for by whatever name they know this host, and without a login.

Only so, letter by letter and not below PUBLIC_URL's path: a proxy that keeps these paths to itself knows no other.
"""
EDGE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")


class Front:
    """The outermost ASGI app. sockets: what serves WebSockets, by path.

    base: path of PUBLIC_URL with slashes around; it is optional in requests.
    """

    def __init__(
        self,
        api: App,
        page: Page,
        sockets: Mapping[str, App],
        events: App,
        gate: Gate,
        door: Door,
        login: Login,
        base: str = "/",
    ) -> None:
        self._api = api
        self._page = page
        self._sockets = sockets
        self._events = events
        self._gate = gate
        self._door = door
        self._login = login
        self._base = base
        self._questions = Questions()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = self._below_base(scope)
        with bound_contextvars(**_edge_id(scope)):
            if scope["type"] == "websocket":
                await self._serve_socket(path, scope, receive, send)
            elif scope["type"] == "http":
                await self._serve_http(path, scope, receive, send)

    async def _serve_socket(self, path: str, scope: Any, receive: Any, send: Any) -> None:
        if path in self._sockets:
            await self._serve_stream(self._sockets[path], scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    async def _serve_stream(self, app: App, scope: Any, receive: Any, send: Any) -> None:
        try:
            who = self._door.admit(scope)
        except Denied as denied:
            await _deny_stream(denied, scope, receive, send)
            return
        scope = {**scope, "client": (who.address, 0)}  # the browser's, not the proxy's: viewers are counted by it
        await self._door.hold(who, app, _by_our_name(scope) if who.shows_secret else scope, receive, send)

    async def _serve_http(self, path: str, scope: Any, receive: Any, send: Any) -> None:
        method: str = scope["method"]
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        if path == EVENTS:
            await self._serve_stream(self._events, scope, receive, send)
        elif path in OPEN and path == _sent_path(scope):
            await self._api({**scope, "path": path}, receive, send)
        elif (refused := self._refuse_stranger(scope)) is not None:
            await send_answer(refused, method, send)
        elif path in PATHS:
            await self._login.serve(path, scope, receive, send)
        elif len(scope.get("query_string", b"")) > MOST_QUERY_BYTES:
            detail = f"the query string is longer than {MOST_QUERY_BYTES} bytes; ask for fewer values at a time"
            await send_answer(_refusal(414, detail), method, send)
        elif path == "/" and method in ("GET", "HEAD"):
            await send_answer(Answer(307, [(b"location", f"{self._base}home".encode())], b""), method, send)
        elif Page.owns(path):
            if method not in ("GET", "HEAD"):
                await send_answer(_refusal(405, "only GET"), method, send)
                return
            await send_answer(await self._show_page(path, scope, headers), method, send)
        else:
            await self._serve_api(path, scope, receive, send)

    def _refuse_stranger(self, scope: Any) -> Answer | None:
        """Who shows a token may call us by any name: no page can be tricked into showing one."""
        try:
            if self._gate.admits(scope["headers"]) or self._door.shows_good_secret(scope):
                return None
        except Denied as denied:
            return _denial(denied)
        return _refusal(403, "not served under this name or to this page: set PUBLIC_URL")

    async def _show_page(self, path: str, scope: Any, headers: Mapping[bytes, bytes]) -> Answer:
        """What the page is made of is no secret; but who has to log in should be told before it is loaded.

        What is only not known yet the page is told as it asks, and asks again.
        """
        try:
            if not Page.is_asset(path):
                self._door.identify(scope)
        except Denied as denied:
            if denied.status != 503:
                return self._login.send_to_login(path, scope) if denied.status == 401 else _denial(denied)
        return await asyncio.to_thread(self._page.answer, path, headers)

    async def _serve_api(self, path: str, scope: Any, receive: Any, send: Any) -> None:
        with ExitStack() as counted:
            try:
                who = self._door.admit(scope, path)
                counted.enter_context(self._questions.one_more(who))
            except Denied as denied:
                await send_answer(_denial(denied), scope["method"], send)
                return
            await self._api({**scope, "path": path, "root_path": "", SCOPE_KEY: who}, receive, _with_headers(send))

    def _below_base(self, scope: Any) -> str:
        """The path as the application knows it: without the base, and as sent where segments are names."""
        path: str = scope["path"]
        sent = _sent_path(scope)
        for base in dict.fromkeys((self._base, "/")):
            if path.startswith(base):
                below, sent_below = path[len(base) - 1 :], sent[len(base) - 1 :]
                return sent_below if sent_below.startswith(RAW_PREFIXES) else below
        return path


class OnlyRefreshes:
    """What the extra port WEBSOCKET_PORT serves: `/ws`, also as `/`, looked at like any request; nothing else."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket" and scope["path"] == "/":
            scope = {**scope, "path": REFRESHES, "raw_path": REFRESHES.encode()}
        if scope["type"] == "websocket" and scope["path"] == REFRESHES:
            await self._front(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await send_answer(_refusal(404, "only the WebSocket /ws is here"), scope["method"], send)


def _sent_path(scope: Any) -> str:
    """The path as it was sent: nothing of it decoded."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _edge_id(scope: Any) -> dict[str, str]:
    """What the proxy calls this request, for the log lines it leads to: its own line of it names the same."""
    given: bytes = dict(scope.get("headers", ())).get(b"x-request-id", b"")
    return {"edge_id": given.decode()} if EDGE_ID.fullmatch(given) else {}


def _refusal(status: int, detail: str) -> Answer:
    body = msgspec.json.encode({"detail": detail})
    return Answer(status, [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")], body)


def _denial(denied: Denied) -> Answer:
    answer = _refusal(denied.status, denied.detail)
    answer.headers.append((b"cache-control", b"no-store"))
    if denied.status == 401:
        answer.headers.append((b"www-authenticate", b"Bearer"))
    if denied.retry_after is not None:
        answer.headers.append((b"retry-after", str(denied.retry_after).encode()))
    return answer


async def _deny_stream(denied: Denied, scope: Any, receive: Any, send: Any) -> None:
    """Before the handshake, as an HTTP answer; of a WebSocket where the server can."""
    if scope["type"] == "http":
        await send_answer(_denial(denied), scope["method"], send)
        return
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return

    async def send_for_websocket(message: Any) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await send_answer(_denial(denied), "GET", send_for_websocket)


def _by_our_name(scope: Any) -> Any:
    """As if called by our own name, for who shows a token."""
    kept = [(name, value) for name, value in scope["headers"] if name not in (b"host", b"origin")]
    return {**scope, "headers": [*kept, (b"host", b"localhost")]}


def _with_headers(send: Any) -> Any:
    """Answers of the API are never guessed at nor kept by a browser."""

    async def add(message: Any) -> None:
        if message["type"] == "http.response.start":
            extra = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return add
