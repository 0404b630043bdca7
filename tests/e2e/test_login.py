"""Logging in for real: a link from the chat, two logsvc, a browser, and everybody who should stay outside."""

import asyncio
import dataclasses
import functools
import json
import re
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
from tests.eventually import eventually
from tests.ports import free_port
from tests.product import Product

SECRET = "session-secret-of-the-test-0123456789"
SERVICE = "service-token-of-the-test"
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
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{url}/health/live")).is_success
    except httpx.TransportError:
        return False


async def link_from_chat(tocsin: Product) -> str:
    """Ask the bot for a login link; return its ticket."""
    before = len(await tocsin.chat())
    await tocsin.say("/login")

    async def found() -> str:
        texts = [message["text"] for message in (await tocsin.chat())[before:] if message["from"]["is_bot"]]
        return next((match[1] for text in texts if (match := re.search(r"/login\?ticket=([\w-]{43})", text))), "")

    async def is_there() -> bool:
        return bool(await found())

    await eventually(is_there, what="a login link")
    return await found()


def person(tocsin: Product, **headers: str) -> httpx.AsyncClient:
    """Somebody with a browser of their own."""
    base = tocsin.url("logsvc")
    return httpx.AsyncClient(base_url=base, headers={"origin": base, **headers}, timeout=60)


async def log_in(client: httpx.AsyncClient, ticket: str) -> httpx.Response:
    return await client.post("/login", data={"ticket": ticket})


async def test_one_link_one_login_on_two_replicas_and_nobody_else(locked: Product) -> None:
    tocsin = locked
    async with second_logsvc(tocsin) as other:
        for service in ("sandbox", "bot", "logsvc"):
            await tocsin.start(service)
        await tocsin.ready("bot")
        for replica in (tocsin, other):
            await eventually(functools.partial(answers, replica.url("logsvc")), what="logsvc")
        live = f"ws://127.0.0.1:{tocsin.ports['logsvc']}/api/v1/live"

        async with person(tocsin) as nobody:
            for path in ("/api/v1/queues", "/api/v1/me", "/openapi.json", "/api/v1/live/sse", "/api/v1/tokens"):
                assert (await nobody.get(path)).status_code == 401, path
            assert (await nobody.post("/api/v1/actions", json={})).status_code == 401
            sent_away = await nobody.get("/logs?queue=mail")
            assert (sent_away.status_code, sent_away.headers["location"]) == (303, "/login")
            with pytest.raises(InvalidStatus) as refused:
                await connect(live)
            assert refused.value.response.status_code == 401
            for value in ("x", "W10.x", "." * 50, "x" * 5000):
                forged = {"cookie": f"tocsin_session={value}"}
                assert (await nobody.get("/api/v1/me", headers=forged)).status_code == 401

        ticket = await link_from_chat(tocsin)
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
                me = await winner.get(f"{replica.url('logsvc')}/api/v1/me")
                assert (me.status_code, me.json()["role"], me.json()["user_id"]) == (200, "admin", "1001")
            csrf = me.json()["csrf_token"]
            audit = (await winner.get("/api/v1/audit")).json()["items"]
            logins = [row["outcome"] for row in audit if row["action"] == "login"]
            assert (logins.count("done"), logins.count("refused: used")) == (1, 7)

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
                async with httpx.AsyncClient(headers=bearer) as script:
                    told = [await script.get(f"{one.url('logsvc')}/api/v1/me") for one in (tocsin, other)]
                    return [one.json().get("user_id") for one in told] == [f"token:{made.json()['id']}"] * 2

            await eventually(is_known, what="the token at both replicas")
            async with httpx.AsyncClient(base_url=tocsin.url("logsvc"), headers=bearer) as script:
                assert (await script.get("/api/v1/tokens")).status_code == 403
                assert (await script.get("/api/v1/audit")).status_code == 403

            session = "; ".join(f"{name}={value}" for name, value in winner.cookies.items())
            async with connect(live, additional_headers={"cookie": session}) as stream:
                assert json.loads(await stream.recv())["type"] == "hello"
                out = {"csrf_token": csrf, "where": "everywhere"}
                assert "logged out" in (await winner.post("/logout", data=out)).text
                async with asyncio.timeout(30):
                    await stream.wait_closed()
                assert stream.close_code == 4401

            async def is_over_everywhere() -> bool:
                async with httpx.AsyncClient(headers={"cookie": session}) as thief:
                    urls = [f"{one.url('logsvc')}/api/v1/me" for one in (tocsin, other)]
                    return [(await thief.get(url)).status_code for url in urls] == [401, 401]

            await eventually(is_over_everywhere, what="the session over at both")

            await tocsin.kill("bot")
            # From another address: this one's wrong tokens, while the new one was not known yet, are counted.
            elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
            async with httpx.AsyncClient(transport=elsewhere, headers=ours, timeout=60) as late:
                away = await late.post(f"{tocsin.url('logsvc')}/login", data={"ticket": "t" * 43})
            assert away.status_code == 503
            assert away.headers["retry-after"]
            assert "The bot does not answer" in away.text
            assert "login-link" in away.text
            assert await is_known()

        logs = tocsin.log("logsvc") + other.log("logsvc") + tocsin.log("bot")
        for secret in (ticket, SECRET, SERVICE, made.json()["token"], session.partition("=")[2]):
            assert secret not in logs
        assert '"event": "login_refused"' in logs


async def test_in_a_browser_one_logs_in_sees_the_page_and_logs_out(locked: Product) -> None:
    tocsin = locked
    for service in ("sandbox", "bot", "logsvc"):
        await tocsin.start(service)
    await tocsin.ready()
    base = tocsin.url("logsvc")
    async with open_page(with_outage=True) as page:
        await page.goto(f"{base}/queues")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await page.goto(f"{base}/login?ticket={'x' * 43}")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_contain_text("no login link that was given out")
        ticket = await link_from_chat(tocsin)
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
    async with httpx.AsyncClient(timeout=60) as client:

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
        mark = {"env": "prod", "service": "shop", "version": "1.4.2", "id": "deploy-1"}
        assert (await client.post(f"{url}/api/v1/markers", json=mark, headers=viewer)).status_code == 403
        marked = await client.post(f"{url}/api/v1/markers", json=mark, headers=operator)
        assert (marked.status_code, marked.json()["by"]) == (201, "operator"), "by the token's name"
        await incidents_rules_silences_and_views_are_the_bots(client, url, viewer, operator)
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
            "r-4": "no answer from bridge",
        }
        assert rows["r-1"]["outcome"] == f"done: {failed} done"
        assert (rows["r-1"]["user_id"].partition(":")[0], rows["r-1"]["role"]) == ("token", "operator")
        assert rows["r-1"]["target"] == f"main/{queue}"


async def incidents_rules_silences_and_views_are_the_bots(
    client: httpx.AsyncClient, url: str, viewer: dict[str, str], operator: dict[str, str]
) -> None:
    """Passed on there and back by logsvc: who may not is refused, who may is named."""
    for path in ("incidents?state=firing&limit=5", "silences", "rules", "views"):
        told = await client.get(f"{url}/api/v1/{path}", headers=viewer)
        assert told.status_code == 200, (path, told.text)
        assert isinstance(told.json()["items"], list)
    wish = {"env": "prod", "queue": "no-such", "minutes": 5, "reason": "a test"}
    assert (await client.post(f"{url}/api/v1/silences", json=wish, headers=viewer)).status_code == 403
    made = await client.post(f"{url}/api/v1/silences", json=wish, headers=operator)
    assert made.status_code == 201, made.text
    assert (made.json()["queue"], made.json()["by"]) == ("no-such", "operator")
    ended = await client.delete(f"{url}/api/v1/silences/{made.json()['id']}", headers=operator)
    assert (ended.status_code, ended.json()) == (200, {})
    saved = await client.post(f"{url}/api/v1/views", json={"title": "mine", "query": "/queues"}, headers=operator)
    assert saved.status_code == 201, saved.text
    listed = [one["title"] for one in (await client.get(f"{url}/api/v1/views", headers=operator)).json()["items"]]
    assert "mine" in listed
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
