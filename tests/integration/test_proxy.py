"""proxy/haproxy.cfg in a real HAProxy: valid in every variant, finds logsvc by Consul, guards what it should."""

import asyncio
import contextlib
import ssl
import sys
import warnings
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, WebSocket, get, post, websocket
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import connect as open_websocket

from tests.certificate import make_certificate, openssl
from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tests.servers.consul_agent import running_agent
from tests.servers.haproxy import problems, running_proxy
from tests.tcp import close, listening
from tocsin.discovery import Directory
from tocsin.http import serve_http
from tocsin.settings import Settings, read
from tocsin.stack.process import Command, kill_group, start


class Replica:
    """A stand-in for logsvc that counts what reaches it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.posts = 0
        self.headers: dict[str, str] = {}

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator["Replica"]:
        @get(["/health/live", "/health/ready", "/metrics", "/internal/v1/actions"], sync_to_thread=False)
        def health() -> str:
            return "ok"

        @get("/logs", sync_to_thread=False)
        def page(request: Request[Any, Any, Any]) -> str:
            self.headers = dict(request.headers)
            return f"replica {self.port}"

        @post("/api/v1/markers", sync_to_thread=False)
        def mark() -> str:
            self.posts += 1
            return "marked"

        @websocket("/api/v1/live")
        async def live(socket: WebSocket[Any, Any, Any]) -> None:
            await socket.accept()
            await socket.send_text(await socket.receive_text())
            await socket.close()

        stop, listens = asyncio.Event(), asyncio.Event()
        app = Litestar([health, page, mark, live], openapi_config=None, logging_config=None)
        served = serve_http(app, "127.0.0.1", self.port, stop, drain_seconds=1, listening=listens.set)
        task = asyncio.create_task(served)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await listens.wait()
            yield self
        finally:
            stop.set()
            await task


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


def test_the_configuration_is_valid_in_every_variant(certificate: Path) -> None:
    password = {"PROXY_USER": "ann", "PROXY_PASSWORD_HASH": openssl("passwd", "-6", "s3cret").strip()}
    consul = {"CONSUL_DNS": "127.0.0.1:8600"}
    tls = {"PROXY_CERTIFICATE": str(certificate)}
    behind = {"PROXY_BEHIND": "10.0.0.0/8 fd00::/8"}
    named = {"PROXY_USER_HEADER": "X-Forwarded-User"}
    for environ in ({}, consul, tls, password, behind, named, {**consul, **tls, **password, **behind, **named}):
        assert problems(environ) == "", sorted(environ)


async def test_what_leaves_the_proxy_and_what_does_not_pass_it(tmp_path: Path) -> None:
    async with (
        Replica().serving() as replica,
        running_proxy(tmp_path, {"LOGSVC_ADDRESS": f"127.0.0.1:{replica.port}"}) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=READY_SECONDS) as client,
    ):

        async def is_up() -> bool:
            return (await client.get("/logs")).status_code == 200

        await eventually(is_up)
        posing = {
            "X-Forwarded-User": "ann",
            "X-Forwarded-Email": "a@b",
            "X-Auth-Request-User": "ann",
            "Remote-User": "ann",
        }
        sent = {"X-Forwarded-For": "9.9.9.9", "X-Request-Id": "mine", **posing}
        answer = await client.get("/logs", headers=sent)
        assert not {name.lower() for name in posing} & set(replica.headers)
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers  # no TLS here
        assert replica.headers["x-forwarded-for"] == "127.0.0.1"
        assert replica.headers["x-request-id"] == answer.headers["x-request-id"] != "mine"
        assert (await client.get("/")).headers["location"] == "/home"
        for path in ("/internal/v1/actions", "/metrics", "/health/ready", "/grafana/metrics", "/Internal/v1"):
            for written in (path, f"/%{ord(path[1]):x}{path[2:]}", f"http://localhost{path}"):
                head = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % written.encode()
                assert b" 404 " in await _first_line(port, head), written
        for path, length in ((b"markers", b"2000000"), (b"actions", b"5000000")):
            head = b"POST /api/v1/%s HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % (path, length)
            assert b" 413 " in await _first_line(port, head), path
        whole = b"POST /api/v1/actions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n"
        assert b" 404 " in await _first_line(port, whole), "logsvc is asked: the stand-in has no such route"
        async with open_websocket(f"ws://127.0.0.1:{port}/api/v1/live") as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"


async def test_an_address_that_asks_too_often_is_refused(tmp_path: Path) -> None:
    async with Replica().serving() as replica:
        environ = {"LOGSVC_ADDRESS": f"127.0.0.1:{replica.port}", "PROXY_REQUESTS_PER_10S": "20"}
        async with (
            running_proxy(tmp_path, environ) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=READY_SECONDS) as client,
        ):
            statuses = [(await client.get("/logs")).status_code for _ in range(40)]
    assert statuses[-1] == 429
    assert statuses.count(429) == 20


async def test_behind_a_load_balancer_each_client_counts_by_itself(tmp_path: Path) -> None:
    async with Replica().serving() as replica:
        environ = {"LOGSVC_ADDRESS": f"127.0.0.1:{replica.port}", "PROXY_REQUESTS_PER_10S": "20"}
        more = {"PROXY_SESSION_REQUESTS_PER_10S": "10", "PROXY_USER_HEADER": "X-Sso-User"}
        async with (
            running_proxy(tmp_path, {**environ, **more, "PROXY_BEHIND": "10.0.0.0/8 127.0.0.1"}) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=READY_SECONDS) as client,
        ):
            ann = {"X-Forwarded-For": "6.6.6.6, 203.0.113.1", "X-Forwarded-Proto": "https"}
            bob = {"X-Forwarded-For": "203.0.113.2"}
            assert [(await client.get("/logs", headers=ann)).status_code for _ in range(40)].count(429) == 20
            answer = await client.get("/logs", headers=bob)
            assert (answer.status_code, replica.headers["x-forwarded-for"]) == (200, "203.0.113.2")
            assert (replica.headers["x-forwarded-proto"], "strict-transport-security" in answer.headers) == (
                "http",
                False,
            )
            ann["X-Forwarded-For"] = "203.0.113.2, 203.0.113.3"
            assert (await client.get("/logs", headers=ann)).headers["strict-transport-security"]
            assert (replica.headers["x-forwarded-for"], replica.headers["x-forwarded-proto"]) == (
                "203.0.113.3",
                "https",
            )
            said = [("X-Sso-User", "ann, of ops"), ("X-Forwarded-User", "root"), ("X-Forwarded-For", "203.0.113.9")]
            await client.get("/logs", headers=said)
            assert (replica.headers["x-sso-user"], replica.headers.get("x-forwarded-user")) == ("ann, of ops", None)
            await client.get("/logs", headers=[*said, ("X-Sso-User", "root")])
            assert "x-sso-user" not in replica.headers, "who says two things is not believed"
            for session in ({"Cookie": "__Host-tocsin_session=a"}, {"Authorization": "Bearer b"}):
                froms = [{**session, "X-Forwarded-For": f"198.51.100.{number}"} for number in range(20)]
                statuses = [(await client.get("/logs", headers=one)).status_code for one in froms]
                assert statuses == [200] * 10 + [429] * 10, "one session counts as one, wherever it comes from"
        async with (
            running_proxy(tmp_path, {**environ, **more, "PROXY_BEHIND": "10.0.0.0/8"}) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=READY_SECONDS) as client,
        ):
            assert "strict-transport-security" not in (await client.get("/logs", headers=ann)).headers
            assert (replica.headers["x-forwarded-for"], replica.headers["x-forwarded-proto"]) == ("127.0.0.1", "http")
            await client.get("/logs", headers={"X-Sso-User": "root"})
            assert "x-sso-user" not in replica.headers, "said from elsewhere"


async def test_tls_redirects_and_a_password_guards(tmp_path: Path, certificate: Path) -> None:
    hashed = openssl("passwd", "-6", "s3cret").strip()
    async with Replica().serving() as replica:
        environ = {
            "LOGSVC_ADDRESS": f"127.0.0.1:{replica.port}",
            "PROXY_CERTIFICATE": str(certificate),
            "PROXY_USER": "ann",
            "PROXY_PASSWORD_HASH": hashed,
        }
        trust = ssl.create_default_context(cafile=certificate)
        async with (
            running_proxy(tmp_path, environ) as port,
            httpx.AsyncClient(
                base_url=f"https://localhost:{port}", verify=trust, trust_env=False, timeout=READY_SECONDS
            ) as client,
        ):
            refused = await client.get("/logs")
            assert (refused.status_code, refused.headers["www-authenticate"][:6]) == (401, "Basic ")
            assert (await client.get("/logs", auth=("ann", "wrong"))).status_code == 401

            async def is_up() -> bool:
                return (await client.get("/logs", auth=("ann", "s3cret"))).status_code == 200

            await eventually(is_up)
            answer = await client.get("/logs", auth=("ann", "s3cret"))
            assert answer.headers["strict-transport-security"].startswith("max-age=")
            assert "authorization" not in replica.headers
            await client.get("/logs", auth=("ann", "s3cret"), headers={"X-Forwarded-User": "root"})
            assert replica.headers["x-forwarded-user"] == "ann"
            assert await _handshake(port, trust, ssl.TLSVersion.TLSv1_3) == ("TLSv1.3", "h2")
            assert await _handshake(port, trust, ssl.TLSVersion.TLSv1_2) == ("TLSv1.2", "h2")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await _handshake(port, trust, ssl.TLSVersion.TLSv1_1)
            assert await _settings_of_http2(port, trust)


async def test_a_client_that_drips_is_let_go_and_a_write_is_never_sent_twice(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A replica that is well as far as its check goes, and dies of every question."""
        head = await reader.readuntil(b"\r\n\r\n")
        if b" /health/live " in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        else:
            asked.append(head.split(b" ", 1)[0])

    async with listening(drop) as dying, running_proxy(tmp_path, {"LOGSVC_ADDRESS": f"127.0.0.1:{dying}"}) as port:
        for method, times in ((b"POST", 1), (b"PUT", 1), (b"GET", 4)):
            head = b"%s /api/v1/markers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" % method
            assert b" 502 " in await _first_line(port, head), method
            assert asked.count(method) == times, "only a read is tried again, three times"
        began = asyncio.get_running_loop().time()
        assert b" 408 " in await _first_line(port, b"GET /logs HTTP/1.1\r\nHost: local")
        assert 4 < asyncio.get_running_loop().time() - began < 30, "after timeout http-request, 5 s"


@pytest.mark.parametrize(("public", "lands_at"), [("", None), ("443", ""), ("9443", ":9443")])
@pytest.mark.parametrize("host", ["localhost", "[::1]"])
async def test_a_plain_request_is_sent_to_the_port_of_tls(
    tmp_path: Path, certificate: Path, host: str, public: str, lands_at: str | None
) -> None:
    plain = free_port()
    environ = {"PROXY_CERTIFICATE": str(certificate), "PROXY_HTTP_PORT": str(plain)}
    if public:
        environ["PROXY_PUBLIC_HTTPS_PORT"] = public
    async with (
        running_proxy(tmp_path, environ) as https,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{plain}", trust_env=False, timeout=READY_SECONDS) as client,
    ):
        answer = await client.get("/logs?q=a%20b", headers={"Host": f"{host}:{plain}"})
    assert answer.status_code == 308
    port = f":{https}" if lands_at is None else lands_at
    assert answer.headers["location"] == f"https://{host}{port}/logs?q=a%20b"


async def test_a_second_replica_is_found_and_no_read_fails_when_one_is_killed(tmp_path: Path) -> None:
    """All of it under load: one becomes two, and one of them dies with the requests it was about to answer."""
    async with contextlib.AsyncExitStack() as stack:
        agent = await stack.enter_async_context(running_agent())
        environ = {"CONSUL_DNS": f"127.0.0.1:{agent.dns_port}", "PROXY_REQUESTS_PER_10S": "100000"}
        port = await stack.enter_async_context(running_proxy(tmp_path, environ))
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=READY_SECONDS)
        )

        async def register(port: int) -> str:
            settings = read(Settings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CONSUL_HTTP_ADDR": agent.address})
            await Directory(settings, CollectorRegistry()).register("logsvc", port)
            return f"replica {port}"

        lasting = await stack.enter_async_context(Replica().serving())
        first = await register(lasting.port)

        async def is_up() -> bool:
            return (await client.get("/logs")).text == first

        await eventually(is_up, what="the first replica")
        answers: list[tuple[int, str]] = []
        done = asyncio.Event()

        async def read_on() -> None:
            while not done.is_set():
                answer = await client.get("/logs")
                answers.append((answer.status_code, answer.text))

        readers = [asyncio.create_task(read_on()) for _ in range(4)]
        await eventually(lambda: len(answers) > 50, what="load on one")
        mortal = free_port()
        argv = [sys.executable, "-m", "tests.servers.replica", str(mortal)]
        child = start(Command("replica", argv, tmp_path / "replica.log", cwd=Path(__file__).parents[2]))
        stack.push_async_callback(child.stop)
        second = await register(mortal)
        await eventually(lambda: (200, second) in answers[-20:], what="a second replica under load")
        kill_group(child.pid)
        killed = len(answers)
        await eventually(lambda: len(answers) > killed + 200, what="reads after the death")
        done.set()
        await asyncio.gather(*readers)
        assert {text for _, text in answers[-20:]} == {first}
        assert {answer for answer in answers} == {(200, first), (200, second)}, "no read failed"


async def _first_line(port: int, request: bytes) -> bytes:
    """Send the head of a request only, and return the first line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(READY_SECONDS):
            return await reader.readline()
    finally:
        await close(writer)


async def _handshake(port: int, trust: ssl.SSLContext, version: ssl.TLSVersion) -> tuple[str | None, str | None]:
    """Speak this version of TLS and no other; gives what was agreed upon, and the protocol above it."""
    context = _offering_http2(trust)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions, which is why they are tried
        context.maximum_version = context.minimum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")  # else our own side would refuse the old ones
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    try:
        spoken: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return spoken.version(), spoken.selected_alpn_protocol()
    finally:
        await close(writer)


def _offering_http2(trust: ssl.SSLContext) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(trust.get_ca_certs(binary_form=True)[0]))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def _settings_of_http2(port: int, trust: ssl.SSLContext) -> bool:
    """Whether the first frame after HTTP/2's opening words is its SETTINGS (RFC 9113, 3.4)."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=_offering_http2(trust))
    try:
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04" + b"\x00" * 5)
        async with asyncio.timeout(READY_SECONDS):
            head = await reader.readexactly(9)
        return head[3] == 4
    finally:
        await close(writer)
