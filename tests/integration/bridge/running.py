"""The bridge as a process on real servers: started, killed, stopped, woken, and what it brought to Kafka."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.eventually import READY_SECONDS, eventually
from tests.kafka_reader import KafkaReader, Records
from tests.output import written
from tests.ports import free_port

ROOT = Path(__file__).parents[3]


class Bridge:
    """One bridge of a test. `records` reads what was committed; `environ` may be changed before a start."""

    def __init__(self, environ: Mapping[str, str], reader: KafkaReader, log: Path) -> None:
        self.environ = {**environ, "BRIDGE_PORT": str(free_port())}
        self._reader = reader
        self._log = log
        self.process: asyncio.subprocess.Process | None = None

    def watch(self, sources: str) -> None:
        """Give it a sources file with this in it, instead of one address."""
        file = self._log.with_name("sources.toml")
        file.write_text(sources)
        self.environ = {**self.environ, "REDIS_URL": "", "TOCSIN_SOURCES_FILE": str(file)}

    async def start(self, *wrapper: str) -> None:
        """Start it; `wrapper` replaces `-m bridge` on Python's command line."""
        with self._log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(wrapper or ("-m", "bridge")),
                env=self.environ,
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )

    async def ready(self) -> None:
        """Wait until it says it is ready: it owns its partitions and has restored them."""
        await eventually(self._is_ready, what="the bridge ready")

    async def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, f"the bridge ended: {self.log[-2000:]}"
        try:
            return await self.missing() == []
        except httpx.TransportError:
            return False

    async def missing(self) -> list[str]:
        """What it says it needs and has not; empty = it is ready."""
        async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
            answer = await client.get(f"{self._url}/health/ready")
        missing = answer.json()["missing"]
        assert answer.status_code == (503 if missing else 200)
        return missing

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP, SIGCONT …"""
        assert self.process is not None
        self.process.send_signal(number)

    async def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> None:
        """Let it drain; its status must be 0."""
        self.signal(signal.SIGTERM)
        assert await self.ended() == 0, self.log[-2000:]

    async def ended(self) -> int:
        """Wait for the end of the process and return its status."""
        assert self.process is not None
        async with asyncio.timeout(READY_SECONDS):
            status = await self.process.wait()
        self.process = None
        return status

    @property
    def peak_bytes(self) -> int:
        """The most memory it has held."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    @property
    def log(self) -> str:
        """Its own log so far."""
        return written(self._log)

    async def records(self) -> Records:
        """All records committed until now."""
        return await self._reader.read()

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        return sum((await self.samples(name, **labels)).values())

    async def has_counted(self, count: float, name: str, **labels: str) -> None:
        """Wait until a metric says so many: of what is in Kafka already the bridge may not have heard yet."""

        async def is_so() -> bool:
            return await self.metric(name, **labels) == count

        await eventually(is_so, what=f"{name} {count:g}")

    async def has_forgotten(self, name: str, **labels: str) -> None:
        """Wait until a metric has no sample with these labels any more."""

        async def is_gone() -> bool:
            return not await self.samples(name, **labels)

        await eventually(is_gone, what=f"the end of {name}")

    async def samples(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """A metric's samples that have these labels, by the values of all their labels."""
        async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
            text = (await client.get(f"{self._url}/metrics")).text
        return {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.environ['BRIDGE_PORT']}"


@asynccontextmanager
async def bridge_on(kafka: str, prefix: str, redis_url: str, log: Path, **more: str) -> AsyncGenerator[Bridge]:
    """A bridge that is not started yet; it is killed with the block."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": prefix,
        "KAFKA_PARTITIONS": "2",
        "REDIS_URL": redis_url,
        "BRIDGE_SESSION_SECONDS": "6",
        "BRIDGE_DISCOVERY_SECONDS": "0.5",
        "BRIDGE_POLL_SECONDS": "0.5",
        "BRIDGE_RECONCILE_SECONDS": "3600",  # of jobs that are only events, written by hand, Redis holds nothing
        "LOG_FORMAT": "json",
        "LOG_TO_KAFKA": "false",
        **more,
    }
    async with KafkaReader(kafka, prefix) as reader:
        bridge = Bridge(environ, reader, log)
        try:
            yield bridge
        finally:
            if bridge.process is not None and bridge.process.returncode is None:
                await bridge.kill()
            print(bridge.log[-6000:])  # shown by pytest when the test fails
