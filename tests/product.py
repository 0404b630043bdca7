"""The whole of Tocsin as a test runs it: real processes on real servers, started, stopped and killed one by one."""

import asyncio
import functools
import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.eventually import READY_SECONDS, eventually
from tests.output import written
from tests.ports import free_port
from tests.servers.sandbox import TOKEN

CHAT = 1001
SERVICES = ("logsvc", "bridge", "bot")


@dataclass
class Product:
    """Every service's process and address. `environ` is theirs; what only one of them gets is in `own`."""

    environ: dict[str, str]
    data: Path
    ports: Mapping[str, int]
    own: dict[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict[str, asyncio.subprocess.Process])

    @property
    def kafka(self) -> str:
        return self.environ["KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def prefix(self) -> str:
        return self.environ["KAFKA_TOPIC_PREFIX"]

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    async def start(self, service: str, *wrapper: str) -> asyncio.subprocess.Process:
        """Start a service; `wrapper` is put before its name on Python's command line (tests/dying.py …)."""
        module = ["tocsin.sandbox", "--port", str(self.ports["sandbox"]), "--data", str(self.data / "sandbox")]
        command = ["-m", *module] if service == "sandbox" else [*wrapper] or ["-m", service]
        output = (self.data / f"{service}.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            env={**self.environ, **self.own.get(service, {})},
            stdout=output,
            stderr=output,
        )
        output.close()
        self.running[service] = process
        return process

    async def ready(self, *services: str) -> None:
        """Wait until these services say they are ready, embedded ClickHouse too."""
        async with httpx.AsyncClient(timeout=5) as client:
            for service in services or tuple(self.running):
                is_ready = functools.partial(self._is_ready, client, service)
                await eventually(is_ready, what=f"{service} ready")

    async def _is_ready(self, client: httpx.AsyncClient, service: str) -> bool:
        process = self.running[service]
        assert process.returncode is None, f"{service} ended: {self.log(service)[-2000:]}"
        try:
            answer = await client.get(f"{self.url(service)}/health/ready")
        except httpx.TransportError:
            return False
        is_whole = "clickhouse" not in answer.json().get("degraded", [])
        return answer.status_code == 200 and (is_whole or self.environ.get("CLICKHOUSE_URL", "").startswith("http"))

    async def kill(self, service: str) -> None:
        """kill -9."""
        await self._end(service, signal.SIGKILL)

    async def stop(self, service: str) -> int:
        """SIGTERM and the whole drain; returns the exit status."""
        return await self._end(service, signal.SIGTERM)

    async def _end(self, service: str, with_signal: signal.Signals) -> int:
        process = self.running.pop(service)
        if process.returncode is None:
            process.send_signal(with_signal)
        return await asyncio.wait_for(process.wait(), READY_SECONDS)

    def log(self, service: str) -> str:
        """What the service has printed."""
        return written(self.data / f"{service}.log")

    async def get(self, path: str, **parameters: Any) -> Any:
        """GET from logsvc's API."""
        async with httpx.AsyncClient(base_url=self.url("logsvc"), timeout=READY_SECONDS) as client:
            answer = await client.get(path, params=parameters)
            answer.raise_for_status()
            return answer.json()

    async def metric(self, service: str, name: str) -> float:
        """A metric's samples, all labels summed."""
        async with httpx.AsyncClient(base_url=self.url(service), timeout=READY_SECONDS) as client:
            text = (await client.get("/metrics")).raise_for_status().text
        samples = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return sum(float(value) for sample, _, value in samples if sample.partition("{")[0] == name)

    async def chat(self, chat_id: int = CHAT) -> list[dict[str, Any]]:
        """The messages of a chat, in order, edits applied."""
        async with httpx.AsyncClient(base_url=self.url("sandbox"), timeout=READY_SECONDS) as client:
            return (await client.get(f"/sandbox/chats/{chat_id}/messages")).raise_for_status().json()["items"]

    async def say(self, text: str) -> None:
        """Write to the bot as the demo's admin."""
        async with httpx.AsyncClient(base_url=self.url("sandbox"), timeout=READY_SECONDS) as client:
            message = {"chat_id": CHAT, "user_id": CHAT, "text": text}
            (await client.post("/sandbox/messages", json=message)).raise_for_status()

    async def login_ticket(self) -> str:
        """Ask the bot for a login link, as the demo's admin; return its ticket."""
        before = len(await self.chat())
        await self.say("/login")
        found: list[str] = []

        async def is_there() -> bool:
            texts = [message["text"] for message in (await self.chat())[before:] if message["from"]["is_bot"]]
            found.extend(match[1] for text in texts if (match := re.search(r"/login\?ticket=([\w-]{43})", text)))
            return bool(found)

        await eventually(is_there, what="a login link")
        return found[0]

    async def query(self, *statements: str) -> list[list[list[Any]]]:
        """Run SELECTs on the history, each answered as rows. logsvc must be stopped: one process owns the directory."""
        assert "logsvc" not in self.running
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _QUERY,
            self.environ["CLICKHOUSE_URL"],
            *statements,
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await asyncio.wait_for(process.communicate(), READY_SECONDS)
        assert process.returncode == 0
        return json.loads(output)


_QUERY = """
import json, sys
import clickhouse_connect
from logsvc.store import DATABASE
client = clickhouse_connect.get_client(dsn=sys.argv[1])
client.database = DATABASE
print(json.dumps([client.query(text).result_rows for text in sys.argv[2:]], default=str))
"""


@asynccontextmanager
async def product(
    data: Path, *, kafka: str, prefix: str, redis: str, postgres: str, settings: Mapping[str, str] | None = None
) -> AsyncGenerator[Product]:
    """A product with its own topics, database and history; nothing runs yet. Everything ends with the block."""
    ports = free_ports()
    environ = {
        **machine(data),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": prefix,
        "REDIS_URL": redis,
        "CLICKHOUSE_URL": f"chdb://{data / 'clickhouse'}",
        "DATABASE_URL": postgres,
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": f"http://127.0.0.1:{ports['sandbox']}",
        "TELEGRAM_ALERT_CHATS": str(CHAT),
        "TELEGRAM_ADMINS": str(CHAT),
        "BRIDGE_PORT": str(ports["bridge"]),
        "LOGSVC_PORT": str(ports["logsvc"]),
        "BOT_PORT": str(ports["bot"]),
        "BOT_STORM_INCIDENTS": "1000",  # each kind of failure is looked for by its own message
        "BRIDGE_SESSION_SECONDS": "6",
        "LOGSVC_SESSION_SECONDS": "4",
        "BRIDGE_DISCOVERY_SECONDS": "1",
        "BRIDGE_POLL_SECONDS": "1",
        "LOG_FORMAT": "json",
        **(settings or {}),
    }
    async with ending(Product(environ, data, ports)) as running:
        yield running


def free_ports() -> dict[str, int]:
    """A port for each process."""
    return {name: free_port() for name in (*SERVICES, "sandbox")}


def machine(data: Path) -> dict[str, str]:
    """What a process finds in its environment though nobody has set Tocsin up."""
    (data / "tmp").mkdir(parents=True, exist_ok=True)
    own = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return {**own, "PYTHONPATH": os.getcwd(), "TMPDIR": str(data / "tmp")}


@asynccontextmanager
async def ending(tocsin: Product) -> AsyncGenerator[Product]:
    """Whatever still runs of it ends with the block."""
    try:
        yield tocsin
    finally:
        for service in list(tocsin.running):
            await tocsin.kill(service)
