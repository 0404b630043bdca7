"""A real Prometheus with the rules that are shipped, and static targets: Debian's knows no Consul."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.eventually import READY_SECONDS
from tests.ports import free_port
from tests.tools import tool
from tocsin.stack.process import Command, start, wait_ready

RULES = Path(__file__).parents[2] / "grafana" / "prometheus" / "rules"


@contextlib.asynccontextmanager
async def running_prometheus(folder: Path, services: Mapping[str, int]) -> AsyncGenerator[httpx.AsyncClient]:
    """Scrapes each service at its port of loopback every second; gives a client of its HTTP API."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES / "*.yml")],
        "scrape_configs": [
            {
                "job_name": "tocsin",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{at}"], "labels": {"service": service}} for service, at in services.items()
                ],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    child = start(
        Command(
            name="prometheus",
            argv=[
                tool("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            log_file=folder / "prometheus.log",
        )
    )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=READY_SECONDS
        ) as client:
            await wait_ready(child, lambda: _answers(client), seconds=READY_SECONDS)
            yield client
    finally:
        await child.stop()


async def _answers(prometheus: httpx.AsyncClient) -> bool:
    """It accepts connections before it has read its storage, and is unavailable until then."""
    try:
        return (await prometheus.get("/-/ready")).is_success
    except httpx.TransportError:
        return False


async def answer(prometheus: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    """The samples a query gives now. Raises AssertionError with Prometheus' own words."""
    said = (await prometheus.get("/api/v1/query", params={"query": query})).json()
    assert said["status"] == "success", (query, said)
    return said["data"]["result"]
