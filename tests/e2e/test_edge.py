"""What docker-compose.yaml arranges, as plain processes: Consul between the services and HAProxy in front, with TLS.

Their settings are compose's own, from the same files; the secrets are those envs/secrets.sh makes.
"""

import asyncio
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from bot.texts import OWN_NUMBERS
from tests.bullmq.driver import make_states, run_workload
from tests.certificate import make_certificate
from tests.compose import environments, make_secrets
from tests.eventually import READY_SECONDS, eventually
from tests.generate.dashboards import DASHBOARDS, named_in
from tests.ports import free_port
from tests.product import CHAT, Product, ending, free_ports, machine
from tests.servers.consul_agent import ConsulAgent, running_agent
from tests.servers.haproxy import running_proxy
from tests.servers.prometheus import answer, running_prometheus
from tests.servers.sandbox import TOKEN
from tocsin.doctor.finding import Verdict
from tocsin.doctor.public_url import check_public_url

SERVICES = ("logsvc", "bridge", "bot")
FAR = 4_000_000_000_000
"""The year 2096."""
NOBODY = "http://127.0.0.1:9"
SOONER = {
    "BREAKER_PROBE_SECONDS": "1",
    "BRIDGE_SESSION_SECONDS": "6",
    "LOGSVC_SESSION_SECONDS": "4",
    "BRIDGE_DISCOVERY_SECONDS": "1",
    "BRIDGE_POLL_SECONDS": "1",
}
"""A test has less time than people have."""
ONLY_WHEN_IT_HAPPENS = {"bridge_schedulers_overdue"}
"""Series that only queues with schedulers have: tests/integration/bridge/test_schedulers.py asks for it."""
PANEL_QUERIES = [
    re.sub(r'"\$\w+"', '".*"', query).replace(" > 0", " >= 0")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
    for query, _ in panel.queries
    if not set(ONLY_WHEN_IT_HAPPENS) & named_in(query)
]


@dataclass
class Stack:
    """Services of docker-compose.yaml on this machine's loopback: the proxy's environment, and the product."""

    proxy: dict[str, str]
    tocsin: Product

    @property
    def url(self) -> str:
        return f"https://localhost:{self.proxy['PROXY_HTTPS_PORT']}"


def stack(folder: Path, agent: ConsulAgent, *, kafka: str, prefix: str, redis: str, postgres: str) -> Stack:
    """What compose would start, on other servers and ports."""
    secrets, certificate = folder / "secrets", make_certificate(folder)
    secrets.mkdir()
    # As somebody does who has these servers already; the script keeps what it finds.
    (secrets / "database_url").write_text(postgres)
    (secrets / "clickhouse_url").write_text(f"chdb://{folder / 'clickhouse'}")
    make_secrets(secrets, REDIS_URL=redis, TELEGRAM_BOT_TOKEN=TOKEN)
    ports, https, syslog = free_ports(), str(free_port()), str(free_port())
    composed = environments(
        TOCSIN_SECRETS=str(secrets),
        PROXY_CERTIFICATE_FILE=str(certificate),
        PROXY_HTTPS=https,
        PUBLIC_URL=f"https://localhost:{https}",
        TELEGRAM_ALERT_CHATS=str(CHAT),
        TELEGRAM_ADMINS=str(CHAT),
    )
    moved = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CONSUL_HTTP_ADDR": agent.address,
        "CONSUL_DNS": f"127.0.0.1:{agent.dns_port}",
        "PROXY_SYSLOG": f"127.0.0.1:{syslog}",
        "LOGSVC_SYSLOG_PORT": syslog,
    }
    added = {
        "KAFKA_TOPIC_PREFIX": prefix,
        "TELEGRAM_API_URL": f"http://127.0.0.1:{ports['sandbox']}",
        **{f"{name.upper()}_PORT": str(ports[name]) for name in SERVICES},
        **{f"{name.upper()}_URL": NOBODY for name in SERVICES},  # only Consul can tell
        **SOONER,
    }
    for environ in composed.values():
        # Only where a file has set them: what it forgets must be missed.
        environ.update({name: place for name, place in moved.items() if name in environ})
    own: dict[str, Mapping[str, str]] = {name: {**composed[name], **added} for name in SERVICES}
    own["bridge"] = {**own["bridge"], "REDIS_ACTIONS_URL_FILE": str(secrets / "redis_url")}
    proxy = composed["proxy"] | {"PROXY_HTTPS_PORT": https, "PROXY_METRICS_PORT": str(free_port())}
    return Stack(proxy, Product(machine(folder), folder, ports, own))


async def test_people_log_in_by_tls_and_the_services_find_each_other_by_consul(
    kafka_bootstrap: str,
    topic_prefix: str,
    redis_url: str,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = await make_states(redis_url)
    async with running_agent() as agent:
        servers = {"kafka": kafka_bootstrap, "prefix": topic_prefix, "redis": redis_url, "postgres": postgres_url}
        composed = stack(tmp_path, agent, **servers)
        certificate = composed.proxy["PROXY_CERTIFICATE"]
        async with running_proxy(tmp_path, composed.proxy), ending(composed.tocsin) as tocsin:
            for service in ("sandbox", *SERVICES):
                await tocsin.start(service)
            await tocsin.ready()

            async def all_pass() -> bool:
                health = [await agent.get(f"/v1/health/service/{name}?passing=1") for name in SERVICES]
                return all(len(entries) == 1 for entries in health)

            await eventually(all_pass, what="a passing check for every service")

            trust = ssl.create_default_context(cafile=certificate)
            base = composed.url
            async with httpx.AsyncClient(base_url=base, verify=trust, trust_env=False, timeout=READY_SECONDS) as person:

                async def is_asked_to_log_in() -> bool:
                    return (await person.get("/api/v1/queues")).status_code == 401

                await eventually(is_asked_to_log_in, what="logsvc through the proxy")
                ticket = await tocsin.login_ticket()
                await eventually(lambda: is_logged_in(person, ticket), what="a login once Consul has told of the bot")

                async def sees_all_queues() -> bool:
                    answer = await person.get("/api/v1/queues")
                    return answer.is_success and len(answer.json()["items"]) == len(counted)

                await eventually(sees_all_queues, what="every queue through the proxy")
                assert (await person.get("/logs")).headers["content-type"].startswith("text/html")
                assert (await person.get("/metrics")).status_code == 404
                [untrusted] = await check_public_url({"PUBLIC_URL": base})
                assert "is not trusted here" in untrusted.found
                monkeypatch.setenv("SSL_CERT_FILE", certificate)
                [trusted] = await check_public_url({"PUBLIC_URL": base})
                assert trusted.verdict is Verdict.OK, trusted
                live = f"{base.replace('https', 'wss')}/api/v1/live"
                session = {"cookie": "; ".join(f"{name}={value}" for name, value in person.cookies.items())}
                async with connect(live, ssl=trust, origin=base, additional_headers=session) as socket:  # type: ignore[arg-type]  # a plain string is an origin
                    async with asyncio.timeout(READY_SECONDS):
                        assert json.loads(await socket.recv())["type"] == "hello"
                asked = (await person.get("/api/v1/me")).headers["x-request-id"]
                await eventually(lambda: is_told_by_the_proxy(person, asked), what="the proxy's line on the page")
                outcomes: list[dict[str, Any]] = []

                async def is_retried() -> bool:
                    outcomes[:] = await retry_failed(person, counted[0].queue)
                    return bool(outcomes)

                await eventually(is_retried, what="a retry once Consul has told the bot of the bridge")
                assert outcomes == [{"done": counted[0].counts["failed"]}]

            async def told() -> bool:
                """The answer comes from logsvc: what the bot counted itself would say so."""
                said = len(await tocsin.chat())
                await tocsin.say("/queues")
                await eventually(lambda: has_answered(said), what="an answer to /queues")
                answer = (await tocsin.chat())[-1]["text"]
                return "in trouble" in answer and OWN_NUMBERS not in answer

            async def has_answered(said: int) -> bool:
                chat = await tocsin.chat()
                return len(chat) >= said + 2 and chat[-1]["from"]["is_bot"] and counted[0].queue in chat[-1]["text"]

            await eventually(told, what="an answer of logsvc to /queues")

            await run_workload(redis_url, version=6, jobs=40, queues=["watched"], rate=40)
            scraped = {
                **{service: tocsin.ports[service] for service in SERVICES},
                "proxy": int(composed.proxy["PROXY_METRICS_PORT"]),
            }
            async with running_prometheus(tmp_path, scraped) as prometheus:

                async def are_scraped() -> bool:
                    return len(await answer(prometheus, "bridge_jobs_completed_total > 0 and on () (sum(up) == 4)")) > 0

                await eventually(are_scraped, what="the services in Prometheus")
                await run_workload(redis_url, version=6, jobs=40, queues=["watched"], rate=40, seed=2)

                async def every_panel_has_data() -> bool:
                    return not [query for query in PANEL_QUERIES if not await answer(prometheus, query)]

                await eventually(every_panel_has_data, what="data in every panel of every dashboard")

            for service in SERVICES:
                await tocsin.stop(service)
            left = await agent.get("/v1/agent/services")
            assert left == {}, "a service that stops takes itself out of Consul"


async def is_logged_in(person: httpx.AsyncClient, ticket: str) -> bool:
    """Log in as a browser does; the session's cookie is one that is never sent without TLS or read by a script.

    False: logsvc does not know of a bot that is well.
    """
    done = await person.post("/login", data={"ticket": ticket}, headers={"origin": str(person.base_url).rstrip("/")})
    if done.status_code == 503:
        return False
    assert done.status_code == 303, done.text
    [cookie] = [value for value in done.headers.get_list("set-cookie") if "tocsin_session=" in value]
    value, *attributes = cookie.split("; ")
    assert value.startswith("__Host-tocsin_session=")
    assert {"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} <= set(attributes)
    assert "domain" not in cookie.lower(), "a __Host- cookie with one is not taken"
    return True


async def is_told_by_the_proxy(person: httpx.AsyncClient, request_id: str) -> bool:
    """Whether the page shows the proxy's own line of a request."""
    told = await person.get("/api/v1/logs", params={"service": "proxy", "q": f'"{request_id}"'})
    return told.is_success and len(told.json()["items"]) == 1


async def retry_failed(person: httpx.AsyncClient, queue: str) -> list[dict[str, Any]]:
    """From the page to the bot to the bridge, and what came of it there; nothing: the bot does not know of a bridge."""
    me = (await person.get("/api/v1/me")).json()
    wish = {"request_id": "r-1", "action": "retry", "source": "main", "queue": queue, "filter": {"to": FAR}}
    ours = {"origin": str(person.base_url).rstrip("/"), "x-csrf-token": me["csrf_token"]}
    assert (await person.post("/api/v1/actions", json=wish)).status_code == 403, "no page of ours asks"
    done = await person.post("/api/v1/actions", json=wish, headers=ours)
    if done.status_code == 503:
        return []
    assert done.status_code == 200, done.text
    return [done.json()["outcomes"]]
