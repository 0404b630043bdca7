"""A real Consul agent in development mode: keeps nothing, so a restart of it forgets every registration."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx

from tests.eventually import READY_SECONDS
from tests.ports import free_port
from tests.tools import tool
from tocsin.stack.process import Child, Command, start, wait_ready

ROOT_TOKEN = "5f6e7d8c-0000-4000-8000-00000000000a"
"""Token that may do everything on an agent with ACLs. Not a secret of anything."""
ACLS = {"acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": ROOT_TOKEN, "agent": ROOT_TOKEN}}}


class ConsulAgent:
    """Start, stop, freeze and restart one agent on the same ports."""

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        ports = {name: free_port() for name in ("http", "dns", "server", "serf_lan", "serf_wan")}
        self.http_port, self.dns_port = ports["http"], ports["dns"]
        config_file = folder / "agent.json"
        config_file.write_text(json.dumps({"ports": {**ports, "grpc": -1}, "log_level": "warn", **(config or {})}))
        self._command = Command(
            name="consul",
            argv=[
                tool("consul"),
                "agent",
                "-dev",
                "-bind=127.0.0.1",
                "-client=127.0.0.1",
                f"-config-file={config_file}",
            ],
            log_file=folder / "consul.log",
            stop_signal=signal.SIGKILL,
        )
        self._child: Child | None = None
        self._is_guarded = config is not None
        self.address = f"127.0.0.1:{self.http_port}"

    async def start(self) -> None:
        self._child = start(self._command)
        await wait_ready(self._child, self._has_leader, seconds=READY_SECONDS)

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()
            self._child = None

    def freeze(self) -> None:
        """Connections are accepted by the kernel, and nothing answers."""
        assert self._child is not None
        self._child.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._child.process.pid, os.WSTOPPED | os.WNOWAIT)  # until then a thread may still answer

    def thaw(self) -> None:
        assert self._child is not None
        self._child.process.send_signal(signal.SIGCONT)

    async def get(self, path: str) -> Any:
        headers = {"X-Consul-Token": ROOT_TOKEN} if self._is_guarded else {}
        async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
            return (await client.get(f"http://{self.address}{path}", headers=headers)).raise_for_status().json()

    async def register(self, service: str, port: int, health_path: str) -> None:
        """Register what a test runs itself."""
        check = {"http": f"http://127.0.0.1:{port}{health_path}", "interval": "1s", "timeout": "2s"}
        body = {"name": service, "id": f"{service}-{port}", "address": "127.0.0.1", "port": port, "check": check}
        async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
            answer = await client.put(f"http://{self.address}/v1/agent/service/register", json=body)
            answer.raise_for_status()

    async def _has_leader(self) -> bool:
        try:
            if not await self.get("/v1/status/leader"):
                return False
            return not self._is_guarded or bool(await self.get("/v1/acl/tokens"))
        except httpx.HTTPError:
            return False


@contextlib.asynccontextmanager
async def running_agent(config: dict[str, Any] | None = None) -> AsyncGenerator[ConsulAgent]:
    """An agent for one test. config: merged into the agent's configuration, e.g. ACLS."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="tocsin-consul-"))
    agent = ConsulAgent(folder, config)
    try:
        await agent.start()
        yield agent
    finally:
        await agent.stop()
        shutil.rmtree(folder, ignore_errors=True)
