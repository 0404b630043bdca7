"""The services with Consul between them and HAProxy in front, TLS included: what docker-compose.yaml arranges."""

import asyncio
import json
import re
import ssl
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from bot.texts import OWN_NUMBERS
from tests.bullmq.driver import make_states, run_workload
from tests.certificate import make_certificate
from tests.consul_agent import running_agent
from tests.dashboards import DASHBOARDS, named_in
from tests.eventually import eventually
from tests.haproxy import running_proxy
from tests.ports import free_port
from tests.product import product
from tests.prometheus import answer, running_prometheus
from tocsin.doctor.finding import Verdict
from tocsin.doctor.public_url import check_public_url

SERVICES = ("logsvc", "bridge", "bot")
ONLY_WHEN_IT_HAPPENS = {
    "bot_errors_total",
    "bridge_schedulers_overdue",
    "bot_messages_dead_total",
    "logsvc_dead_letters_total",
    "logsvc_exported_rows_total",
}
"""Series whose labels nobody knows beforehand, or that only queues with schedulers have."""
PANEL_QUERIES = [
    re.sub(r'"\$\w+"', '".*"', query).replace(" > 0", " >= 0")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
    for query, _ in panel.queries
    if not set(ONLY_WHEN_IT_HAPPENS) & named_in(query)
]


async def test_people_reach_the_page_and_the_bot_finds_logsvc_by_consul(
    kafka_bootstrap: str,
    topic_prefix: str,
    redis_url: str,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = await make_states(redis_url)
    certificate = make_certificate(tmp_path)
    async with running_agent() as agent:
        proxy_environ = {
            "CONSUL_DNS": f"127.0.0.1:{agent.dns_port}",
            "PROXY_CERTIFICATE": str(certificate),
            "PROXY_METRICS_PORT": str(proxy_metrics := free_port()),
        }
        async with (
            running_proxy(tmp_path, proxy_environ) as edge,
            product(
                tmp_path,
                kafka=kafka_bootstrap,
                prefix=topic_prefix,
                redis=redis_url,
                postgres=postgres_url,
                settings={
                    "CONSUL_HTTP_ADDR": agent.address,
                    "LOGSVC_URL": "http://127.0.0.1:9",  # nobody is there: only Consul can tell
                    "PUBLIC_URL": f"https://localhost:{edge}",
                },
            ) as tocsin,
        ):
            for service in ("sandbox", *SERVICES):
                await tocsin.start(service)
            await tocsin.ready()

            async def all_pass() -> bool:
                health = [await agent.get(f"/v1/health/service/{name}?passing=1") for name in SERVICES]
                return all(len(entries) == 1 for entries in health)

            await eventually(all_pass, what="a passing check for every service")

            trust = ssl.create_default_context(cafile=certificate)
            base = f"https://localhost:{edge}"
            async with httpx.AsyncClient(base_url=base, verify=trust, trust_env=False) as person:

                async def sees_all_queues() -> bool:
                    answer = await person.get("/api/v1/queues")
                    return answer.is_success and len(answer.json()["items"]) == len(counted)

                await eventually(sees_all_queues, seconds=60, what="every queue through the proxy")
                assert (await person.get("/logs")).headers["content-type"].startswith("text/html")
                assert (await person.get("/metrics")).status_code == 404
                [untrusted] = await check_public_url({"PUBLIC_URL": base})
                assert "is not trusted here" in untrusted.found
                monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
                [trusted] = await check_public_url({"PUBLIC_URL": base})
                assert trusted.verdict is Verdict.OK, trusted
                live = f"wss://localhost:{edge}/api/v1/live"
                async with connect(live, ssl=trust, origin=base) as socket, asyncio.timeout(20):  # type: ignore[arg-type]  # a plain string is an origin
                    assert json.loads(await socket.recv())["type"] == "hello"

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

            await eventually(told, seconds=60, what="an answer of logsvc to /queues")

            await run_workload(redis_url, version=6, jobs=40, queues=["watched"], rate=40)
            scraped = {**{service: tocsin.ports[service] for service in SERVICES}, "proxy": proxy_metrics}
            async with running_prometheus(tmp_path, scraped) as prometheus:

                async def are_scraped() -> bool:
                    return len(await answer(prometheus, "bridge_jobs_completed_total > 0 and on () (sum(up) == 4)")) > 0

                await eventually(are_scraped, seconds=60, what="the services in Prometheus")
                await run_workload(redis_url, version=6, jobs=40, queues=["watched"], rate=40, seed=2)

                async def every_panel_has_data() -> bool:
                    return not [query for query in PANEL_QUERIES if not await answer(prometheus, query)]

                await eventually(every_panel_has_data, seconds=60, what="data in every panel of every dashboard")

            for service in SERVICES:
                await tocsin.stop(service)
            left = await agent.get("/v1/agent/services")
            assert left == {}, "a service that stops takes itself out of Consul"
