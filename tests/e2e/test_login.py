"""Logging in for real: a link from the chat, two logsvc, a browser, and everybody who should stay outside."""

import asyncio
import dataclasses
import functools
import json
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from playwright.async_api import expect
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.browser import open_page
from tests.bullmq.driver import make_states
from tests.clients import asyncpg
from tests.eventually import READY_SECONDS, eventually
from tests.pictures import look
from tests.ports import free_port
from tests.product import Product

SECRET = "session-secret-of-the-test-0123456789"
SERVICE = "service-token-of-the-test"
PROXY = {
    "TRUSTED_PROXIES": "127.0.0.1",
    "LOGSVC_PROXY_USER_HEADER": "X-Forwarded-User",
    "LOGSVC_PROXY_ROLES": "*@ops.example.com=operator",
}
EXPIRE = "UPDATE login_tickets SET expires_at = now() - interval '1 second' WHERE used_at IS NULL"
SUBSCRIBE = json.dumps({"type": "subscribe", "to": [{"type": "queue-refresh"}]})
DEPLOY = {"env": "prod", "service": "shop", "version": "1.4.2", "id": "deploy-1"}
SILENCE = {"env": "prod", "queue": "no-such", "minutes": 5, "reason": "a test"}
ALL = {"to": 4_000_000_000_000}
"""Every failed job: those that failed before the year 2096."""


@pytest.fixture
def locked(tocsin: Product) -> Product:
    """The product, with a login."""
    tocsin.environ |= {"SESSION_SECRET": SECRET, "TOCSIN_SERVICE_TOKEN": SERVICE}
    tocsin.environ.pop("PUBLIC_URL", None)
    return tocsin


@asynccontextmanager
async def second_logsvc(tocsin: Product) -> AsyncGenerator[Product]:
    """Another replica of logsvc, with a history of its own."""
    port = free_port()
    environ = {**tocsin.environ, "LOGSVC_PORT": str(port), "CLICKHOUSE_URL": f"chdb://{tocsin.data / 'other'}"}
    data = tocsin.data / "second"
    data.mkdir()
    other = dataclasses.replace(
        tocsin, environ=environ, data=data, ports={**tocsin.ports, "logsvc": port}, own={}, running={}
    )
    try:
        await other.start("logsvc")
        yield other
    finally:
        for service in list(other.running):
            await other.kill(service)


async def answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
            return (await client.get(f"{url}/health/live")).is_success
    except httpx.TransportError:
        return False


async def is_let_in(client: httpx.AsyncClient, url: str) -> bool:
    return (await client.get(f"{url}/api/v1/me", headers={"origin": url})).status_code == 200


def person(tocsin: Product, address: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
    """Somebody with a browser of their own."""
    base = tocsin.url("logsvc")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx.AsyncHTTPTransport(local_address=address)
    return httpx.AsyncClient(
        base_url=base, headers={"origin": base, **named}, timeout=READY_SECONDS, transport=transport
    )


async def log_in(client: httpx.AsyncClient, ticket: str) -> httpx.Response:
    return await client.post("/login", data={"ticket": ticket})


async def test_one_link_one_login_on_two_replicas_and_nobody_else(locked: Product) -> None:
    tocsin = locked
    extra = free_port()
    tocsin.own["logsvc"] = {**PROXY, "WEBSOCKET_PORT": str(extra), "BREAKER_PROBE_SECONDS": "0.5"}
    async with second_logsvc(tocsin) as other:
        for service in ("sandbox", "bot", "logsvc"):
            await tocsin.start(service)
        await tocsin.ready("bot")
        for replica in (tocsin, other):
            await eventually(functools.partial(answers, replica.url("logsvc")), what="logsvc")
        live = f"ws://127.0.0.1:{tocsin.ports['logsvc']}/api/v1/live"
        refreshes = [f"ws://127.0.0.1:{tocsin.ports['logsvc']}/ws", f"ws://127.0.0.1:{extra}/ws"]

        async with person(tocsin) as nobody:
            for path in ("/api/v1/queues", "/api/v1/me", "/openapi.json", "/api/v1/live/sse", "/api/v1/tokens"):
                assert (await nobody.get(path)).status_code == 401, path
            assert (await nobody.post("/api/v1/actions", json={})).status_code == 401
            sent_away = await nobody.get("/logs?queue=mail")
            assert (sent_away.status_code, sent_away.headers["location"]) == (303, "/login")
            for stream in (live, *refreshes):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(stream)
                assert refused.value.response.status_code == 401, stream
            for value in ("x", "W10.x", "." * 50, "x" * 5000):
                forged = {"cookie": f"tocsin_session={value}"}
                assert (await nobody.get("/api/v1/me", headers=forged)).status_code == 401

        await every_route_refuses_a_stranger_as_described(tocsin)
        ticket = await tocsin.login_ticket()
        async with person(tocsin) as ann, person(other) as double:
            for _ in range(3):  # a chat app that looks for a preview
                assert (await ann.get(f"/login?ticket={ticket}")).status_code == 200
            foreign = await ann.post("/login", data={"ticket": ticket}, headers={"origin": "http://evil.example"})
            assert foreign.status_code == 403
            tries = await asyncio.gather(*(log_in(one, ticket) for one in (ann, double) * 4))
            assert sorted(answer.status_code for answer in tries) == [303] + [410] * 7
            winner, loser = (ann, double) if ann.cookies else (double, ann)
            cookie = next(answer.headers["set-cookie"] for answer in tries if answer.status_code == 303)
            assert "HttpOnly; SameSite=Lax" in cookie
            assert not loser.cookies
            for replica in (tocsin, other):
                here = replica.url("logsvc")
                await eventually(functools.partial(is_let_in, winner, here), what="let in, once the bot was heard")
                me = await winner.get(f"{here}/api/v1/me", headers={"origin": here})
                assert (me.status_code, me.json()["role"], me.json()["user_id"]) == (200, "admin", "1001")
            csrf = me.json()["csrf_token"]
            await a_link_that_is_too_old_opens_nothing(tocsin)
            audit = (await winner.get("/api/v1/audit")).json()["items"]
            logins = [row["outcome"] for row in audit if row["action"] == "login"]
            outcomes = {"done": 1, "refused: used": 7, "refused: expired": 1}
            assert {outcome: logins.count(outcome) for outcome in set(logins)} == outcomes

            wish = {"name": "ci", "role": "operator"}
            url = f"{tocsin.url('logsvc')}/api/v1/tokens"
            ours, token = {"origin": tocsin.url("logsvc")}, {"x-csrf-token": csrf}
            assert (await winner.post(url, json=wish, headers=ours)).status_code == 403
            for evil in ("http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1.evil.example"):
                assert (await winner.post(url, json=wish, headers={"origin": evil, **token})).status_code == 403, evil
            cross = {**ours, **token, "sec-fetch-site": "cross-site"}
            assert (await winner.post(url, json=wish, headers=cross)).status_code == 403
            made = await winner.post(url, json=wish, headers={**ours, **token})
            assert made.status_code == 201
            bearer = {"authorization": f"Bearer {made.json()['token']}"}

            async def is_known() -> bool:
                async with httpx.AsyncClient(headers=bearer, timeout=READY_SECONDS) as script:
                    told = [await script.get(f"{one.url('logsvc')}/api/v1/me") for one in (tocsin, other)]
                    return [one.json().get("user_id") for one in told] == [f"token:{made.json()['id']}"] * 2

            await eventually(is_known, what="the token at both replicas")
            async with httpx.AsyncClient(
                base_url=tocsin.url("logsvc"), headers=bearer, timeout=READY_SECONDS
            ) as script:
                assert (await script.get("/api/v1/tokens")).status_code == 403
                assert (await script.get("/api/v1/audit")).status_code == 403

            session = "; ".join(f"{name}={value}" for name, value in winner.cookies.items())
            mine = {"cookie": session}
            async with (
                connect(live, additional_headers=mine) as stream,
                connect(refreshes[0], additional_headers=mine) as heard,
                connect(refreshes[1], additional_headers=mine) as heard_apart,
            ):
                assert json.loads(await stream.recv())["type"] == "hello"
                for socket in (heard, heard_apart):
                    await socket.send(SUBSCRIBE)
                    assert json.loads(await socket.recv()) == {"type": "done", "what": "subscribe"}
                out = {"csrf_token": csrf, "where": "everywhere"}
                assert "logged out" in (await winner.post("/logout", data=out)).text
                async with asyncio.timeout(READY_SECONDS):
                    for socket in (stream, heard, heard_apart):
                        await socket.wait_closed()
                        assert socket.close_code == 4401

            async def is_over_everywhere() -> bool:
                async with httpx.AsyncClient(headers={"cookie": session}, timeout=READY_SECONDS) as thief:
                    urls = [f"{one.url('logsvc')}/api/v1/me" for one in (tocsin, other)]
                    return [(await thief.get(url)).status_code for url in urls] == [401, 401]

            await eventually(is_over_everywhere, what="the session over at both")

            await tocsin.kill("bot")
            # From another address: this one's wrong tokens, while the new one was not known yet, are counted.
            async with person(tocsin, "127.0.0.2") as late:
                away = await log_in(late, "t" * 43)
            assert away.status_code == 503
            assert away.headers["retry-after"]
            assert "The bot does not answer" in away.text
            assert "login-link" in away.text
            assert await is_known()
            await tocsin.kill("sandbox")
            await eventually(lambda: is_marked(tocsin, bearer), what="a deploy marked by a token")
            await who_comes_by_the_proxy_sees_all_without_telegram_and_bot(tocsin, live)
            await a_link_of_the_server_logs_in_without_telegram(tocsin)

        logs = tocsin.log("logsvc") + other.log("logsvc") + tocsin.log("bot")
        for secret in (ticket, SECRET, SERVICE, made.json()["token"], session.partition("=")[2]):
            assert secret not in logs
        assert '"event": "login_refused"' in logs


async def is_marked(tocsin: Product, by: dict[str, str]) -> bool:
    """Mark a deploy, by the token's name. False: the tables are not made yet."""
    async with httpx.AsyncClient(base_url=tocsin.url("logsvc"), headers=by, timeout=READY_SECONDS) as script:
        marked = await script.post("/api/v1/markers", json=DEPLOY)
        if marked.status_code == 503:
            return False
        me = (await script.get("/api/v1/me")).json()
    assert (marked.status_code, marked.json()["by"]) == (201, me["name"])
    return True


async def a_link_that_is_too_old_opens_nothing(tocsin: Product) -> None:
    """Its time over by Postgres' own clock."""
    ticket = await tocsin.login_ticket()
    database = await asyncpg.connect(tocsin.environ["DATABASE_URL"].replace("+asyncpg", "", 1))
    try:
        assert await database.execute(EXPIRE, timeout=30) == "UPDATE 1"
    finally:
        await database.close(timeout=30)
    async with person(tocsin) as late:
        refused = await log_in(late, ticket)
        assert (refused.status_code, "This link is too old" in refused.text) == (410, True)
        assert not late.cookies
        assert (await late.get("/api/v1/me")).status_code == 401


async def who_comes_by_the_proxy_sees_all_without_telegram_and_bot(tocsin: Product, live: str) -> None:
    """Only from the proxy's own address; and what only the bot can do is to be tried again."""
    said = {"x_forwarded_user": "bob@ops.example.com"}
    async with person(tocsin, **said) as bob:
        page = await bob.get("/logs")
        assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, "text/html")
        me = (await bob.get("/api/v1/me")).json()
        assert (me["user_id"], me["role"]) == ("proxy:bob@ops.example.com", "operator")
        assert (await bob.get("/api/v1/logs")).status_code == 200
        async with connect(live, additional_headers={"X-Forwarded-User": "bob@ops.example.com"}) as stream:
            async with asyncio.timeout(READY_SECONDS):
                assert json.loads(await stream.recv())["type"] == "hello"
        assert (await bob.post("/api/v1/silences", json=SILENCE)).status_code == 403
        waits = await bob.post("/api/v1/silences", json=SILENCE, headers={"x-csrf-token": me["csrf_token"]})
        assert (waits.status_code, bool(waits.headers["retry-after"])) == (503, True), waits.text
    async with person(tocsin, "127.0.0.2", **said) as forger:
        for path in ("/api/v1/me", "/api/v1/logs", "/api/v1/live/sse"):
            assert (await forger.get(path)).status_code == 401, path
        assert (await forger.get("/logs")).status_code == 303


async def login_link(tocsin: Product, name: str, role: str) -> str:
    """What `tocsin login-link` prints."""
    command = ("-m", "tocsin.cli", "login-link", name, "--role", role)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=tocsin.environ, stdout=asyncio.subprocess.PIPE
    )
    link, _ = await asyncio.wait_for(process.communicate(), READY_SECONDS)
    assert process.returncode == 0
    return link.decode().strip()


async def a_link_of_the_server_logs_in_without_telegram(tocsin: Product) -> None:
    """`tocsin login-link` needs Postgres and the bot; and then the page does all it does."""
    await tocsin.start("bot")
    link = await login_link(tocsin, "Ann of ops", "operator")
    async with person(tocsin, "127.0.0.3") as ann:

        async def is_in() -> bool:
            answer = await log_in(ann, link)
            assert answer.status_code in (303, 503), "the bot is not there yet, or the link is good"
            return answer.status_code == 303

        await eventually(is_in, what="a login by the server's link")
        me = (await ann.get("/api/v1/me")).json()
        assert (me["user_id"], me["name"], me["role"]) == ("link:Ann of ops", "Ann of ops", "operator")
        made: dict[str, Any] = {}

        async def is_silenced() -> bool:
            answer = await ann.post("/api/v1/silences", json=SILENCE, headers={"x-csrf-token": me["csrf_token"]})
            assert answer.status_code in (201, 503), "the bot has only just begun, or does as it is told"
            made.update(answer.json())
            return answer.status_code == 201

        await eventually(is_silenced, what="a silence by who came by the link")
        assert made["by"] == "Ann of ops"


async def every_route_refuses_a_stranger_as_described(tocsin: Product) -> None:
    methods = {"get", "post", "put", "delete", "patch"}
    async with httpx.AsyncClient(base_url=tocsin.url("logsvc"), timeout=READY_SECONDS) as nobody:
        described = await nobody.get("/openapi.json", headers={"authorization": f"Bearer {SERVICE}"})
        routes = described.json()["paths"]
        asked = [(path, method) for path in routes for method in methods & set(routes[path])]
        asked = [(path, method) for path, method in asked if not path.startswith(("/health/", "/metrics"))]
        assert len(asked) > 20
        for path, method in asked:
            answer = await nobody.request(method, path)
            assert answer.status_code == 401, (path, method)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json().keys() == {"detail"}
            assert "401" in routes[path][method]["responses"], (path, method)


async def test_in_a_browser_one_logs_in_sees_the_page_and_logs_out(locked: Product) -> None:
    tocsin = locked
    for service in ("sandbox", "bot", "logsvc"):
        await tocsin.start(service)
    await tocsin.ready()
    base = tocsin.url("logsvc")
    async with open_page(with_outage=True) as page:
        await page.goto(f"{base}/queues")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await look(page, "login")
        await page.goto(f"{base}/login?ticket={'x' * 43}")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_contain_text("no login link that was given out")
        ticket = await tocsin.login_ticket()
        await page.get_by_label("paste a link").fill(f"{base}/login?ticket={ticket}")
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url(f"{base}/queues")
        await page.get_by_role("link", name="Live").click()
        await expect(page.get_by_test_id("connection")).to_have_attribute("data-status", "live")
        assert await page.evaluate("document.cookie") == ""
        await page.get_by_test_id("account").click()
        await page.get_by_role("link", name="Log out").click()
        await page.get_by_role("button", name="Log out", exact=True).click()
        await expect(page.get_by_role("heading", name="Logged out")).to_be_visible()
        await page.goto(f"{base}/logs")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_jobs_are_retried_by_who_may_once_and_it_is_written_down(locked: Product, redis_url: str) -> None:
    tocsin = locked
    tocsin.own["bridge"] = {"REDIS_ACTIONS_URL": redis_url}
    counted = await make_states(redis_url)
    queue = counted[0].queue
    for service in ("sandbox", "bot", "logsvc", "bridge"):
        await tocsin.start(service)
    await tocsin.ready()
    internal = {"authorization": f"Bearer {SERVICE}"}
    async with httpx.AsyncClient(timeout=READY_SECONDS) as client:

        async def token(role: str) -> dict[str, str]:
            body = {"name": role, "role": role, "user_id": "1001"}
            made = await client.post(f"{tocsin.url('bot')}/internal/v1/tokens", json=body, headers=internal)
            return {"authorization": f"Bearer {made.json()['token']}"}

        viewer, operator = await token("viewer"), await token("operator")
        url = tocsin.url("logsvc")

        async def act(who: dict[str, str], **wish: Any) -> httpx.Response:
            body = {"request_id": "r-1", "action": "retry", "source": "main", "queue": queue, **wish}
            return await client.post(f"{url}/api/v1/actions", json=body, headers=who)

        async def is_known() -> bool:
            return (await client.get(f"{url}/api/v1/me", headers=operator)).is_success

        await eventually(is_known, what="the tokens at logsvc")
        assert (await client.post(f"{url}/api/v1/markers", json=DEPLOY, headers=viewer)).status_code == 403
        await eventually(lambda: is_marked(tocsin, operator), what="a deploy marked by a token")
        await incidents_rules_silences_and_views_are_the_bots(client, url, viewer, operator)
        await a_viewer_looks_and_touches_nothing(tocsin, queue)
        dry = await act(operator, filter=ALL, dry_run=True)
        assert dry.status_code == 200, dry.text
        failed = dry.json()["count"]
        assert failed == counted[0].counts["failed"] > 0
        assert (await act(viewer, filter=ALL)).status_code == 403
        done = await act(operator, filter=ALL)
        assert done.status_code == 200, done.text
        assert done.json()["outcomes"] == {"done": failed}
        assert (await act(operator, filter=ALL)).json() == done.json()
        assert (await act(operator, filter=ALL, request_id="r-2", dry_run=True)).json()["count"] == 0
        assert (await act(operator, job_ids=["1"])).json()["error"] == "conflict"
        unknown = await act(operator, filter=ALL, request_id="r-3", queue="no-such")
        assert (unknown.status_code, unknown.json()["error"]) == (404, "unknown_queue")
        bad: list[dict[str, Any]] = [{"action": "obliterate"}, {"job_ids": []}, {"request_id": "a b"}, {"y": 1}]
        for wrong in (*bad, {"filter": {"x": 1}}):
            answer = await act(operator, **wrong)
            assert (answer.status_code, bool(answer.json()["detail"])) == (400, True), wrong

        await tocsin.kill("bridge")
        away = await act(operator, request_id="r-4", filter=ALL)
        assert (away.status_code, away.json()["error"]) == (503, "bridge_unavailable")
        assert away.headers["retry-after"]
        audit = await client.get(f"{tocsin.url('bot')}/internal/v1/audit", headers=internal)
        rows = {row["request_id"]: row for row in audit.json()["items"] if row["request_id"]}
        assert {name: row["outcome"].partition(":")[0] for name, row in rows.items()} == {
            "r-1": "done",
            "r-3": "refused",
            "r-4": "not done",
        }
        assert rows["r-1"]["outcome"] == f"done: {failed} done"
        assert (rows["r-1"]["user_id"].partition(":")[0], rows["r-1"]["role"]) == ("token", "operator")
        assert rows["r-1"]["target"] == f"main/{queue}"


async def a_viewer_looks_and_touches_nothing(tocsin: Product, queue: str) -> None:
    """In a browser, with the role viewer: what acts says what it takes, or is not there."""
    link, base = await login_link(tocsin, "Vic", "viewer"), tocsin.url("logsvc")
    # From another address: this one's wrong tokens, while the new ones were not known yet, are counted.
    async with person(tocsin, "127.0.0.2") as vic, open_page(with_outage=True) as page:
        assert (await log_in(vic, link)).status_code == 303
        await page.context.add_cookies(
            [{"name": name, "value": vic.cookies[name], "url": base} for name in vic.cookies]
        )
        await page.goto(f"{base}/queue/main/{queue}")
        await expect(page.get_by_test_id("queue-head")).to_be_visible()
        for button in await page.locator("[data-testid^=action-]").all():
            await expect(button).to_be_disabled()
            await expect(button).to_have_attribute("title", re.compile("needs the role operator"))
        await expect(page.get_by_test_id("action-pause")).to_have_count(1)
        await page.get_by_role("link", name="Incidents").first.click()
        await expect(page.get_by_test_id("maintenance")).to_be_disabled()
        await page.goto(f"{base}/incidents/rules")
        await expect(page.get_by_test_id("rule").first).to_be_visible()
        await expect(page.get_by_role("main").get_by_role("button", name="Change")).to_have_count(0)
        await page.goto(f"{base}/account/views")
        shared = page.get_by_test_id("view")
        await expect(shared).to_contain_text("by operator")
        await expect(shared.get_by_role("button")).to_have_count(0)
        await shared.get_by_role("link", name="Night shift").click()
        await page.wait_for_url("**/queues?q=states")
        await expect(page.get_by_test_id("queue-row").first).to_be_visible()


async def incidents_rules_silences_and_views_are_the_bots(
    client: httpx.AsyncClient, url: str, viewer: dict[str, str], operator: dict[str, str]
) -> None:
    """Passed on there and back by logsvc: who may not is refused, who may is named."""
    for path in ("incidents?state=firing&limit=5", "silences", "rules", "views"):
        told = await client.get(f"{url}/api/v1/{path}", headers=viewer)
        assert told.status_code == 200, (path, told.text)
        assert isinstance(told.json()["items"], list)
    assert (await client.post(f"{url}/api/v1/silences", json=SILENCE, headers=viewer)).status_code == 403
    made = await client.post(f"{url}/api/v1/silences", json=SILENCE, headers=operator)
    assert made.status_code == 201, made.text
    assert (made.json()["queue"], made.json()["by"]) == ("no-such", "operator")
    ended = await client.delete(f"{url}/api/v1/silences/{made.json()['id']}", headers=operator)
    assert (ended.status_code, ended.json()) == (200, {})
    saved = await client.post(f"{url}/api/v1/views", json={"title": "mine", "query": "/queues"}, headers=operator)
    assert saved.status_code == 201, saved.text
    listed = [one["title"] for one in (await client.get(f"{url}/api/v1/views", headers=operator)).json()["items"]]
    assert "mine" in listed
    shared = {"title": "Night shift", "query": "/queues?q=states", "shared": True}
    assert (await client.post(f"{url}/api/v1/views", json=shared, headers=operator)).status_code == 201
    for path in ("incidents/999999", "incidents/999999/ack"):
        missing = await client.request("POST" if "ack" in path else "GET", f"{url}/api/v1/{path}", headers=operator)
        assert (missing.status_code, bool(missing.json()["detail"])) == (404, True), path

    async def failures() -> list[dict[str, Any]]:
        return (await client.get(f"{url}/api/v1/errors?from=0", headers=viewer)).json()["items"]

    async def a_failure_is_told() -> bool:
        return bool(await failures())

    await eventually(a_failure_is_told, what="a group of failures")
    group = await client.get(f"{url}/api/v1/errors/{(await failures())[0]['fingerprint']}?from=0", headers=viewer)
    assert group.json()["handling"] == {"is_known": True, "last": None}
