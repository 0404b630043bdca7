"""logsvc on a ClickHouse it reaches over HTTP (see clickhouse_front.py), and what Kafka says must be in it."""

import asyncio
import importlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.clients import aiokafka
from tests.eventually import READY_SECONDS, eventually
from tests.integration.logsvc.house import PARTITIONS, House, house
from tests.ports import free_port
from tests.servers.clickhouse_front import Fault, State
from tocsin.events import JobEvent, decode

MINUTE = 60_000
FORCED = {"force_optimize_projection": 1}


@dataclass
class Server:
    """A ClickHouse in a process of its own. Its data outlives it."""

    data: Path
    port: int
    process: asyncio.subprocess.Process | None = None
    client: Any = None

    @classmethod
    def at(cls, data: Path) -> "Server":
        return cls(data, free_port())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        with (self.data.parent / "clickhouse.log").open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.servers.clickhouse_front", "--data", str(self.data), "--port", str(self.port)),
                env={**os.environ, "PYTHONPATH": os.getcwd()},
                stdout=output,
                stderr=output,
            )
        await eventually(self._answers, what="ClickHouse's HTTP interface")

    async def _answers(self) -> bool:
        try:
            return (await self._call("GET", "/ping")).status_code == 200
        except httpx.TransportError:
            return False

    async def kill(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            await asyncio.wait_for(process.wait(), READY_SECONDS)

    async def faults(self, *faults: Fault) -> None:
        """Have these faults and no others."""
        await self._call("POST", "/faults", content=msgspec.json.encode(faults))

    async def release(self) -> None:
        await self._call("POST", "/release")

    async def state(self) -> State:
        return msgspec.json.decode((await self._call("GET", "/state")).content, type=State)

    async def query(self, sql: str, **settings: Any) -> list[list[Any]]:
        def work() -> list[list[Any]]:
            connect = getattr(importlib.import_module("clickhouse_connect"), "get_client")  # noqa: B009  # untyped
            client = connect(host="127.0.0.1", port=self.port, database="tocsin", autogenerate_session_id=False)
            try:
                return [list(row) for row in client.query(sql, settings=settings).result_rows]
            finally:
                client.close()

        return await asyncio.to_thread(work)

    async def _call(self, method: str, path: str, content: bytes = b"") -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=READY_SECONDS) as client:
            return await client.request(method, path, content=content)


@asynccontextmanager
async def server_in(directory: Path) -> AsyncGenerator[Server]:
    """A ClickHouse over HTTP, running."""
    one = Server.at(directory / "clickhouse")
    await one.start()
    yield one
    await one.kill()


@asynccontextmanager
async def house_on(server: Server, data: Path, kafka: str, prefix: str) -> AsyncGenerator[House]:
    """A logsvc on that ClickHouse, not started yet, with little room for what is not stored."""
    settings = {
        "CLICKHOUSE_URL": f"http://tocsin:secret@127.0.0.1:{server.port}/tocsin",
        "LOGSVC_BATCH_ROWS": "200",
        "LOGSVC_BUFFER_MIB": "16",
    }
    async with house(data, kafka, prefix, **settings) as one:
        yield one


async def lanes(home: House) -> list[dict[str, object]]:
    """What logsvc tells of each of its partitions."""
    return (await home.json("/api/v1/system"))["pipeline"]


async def is_live(home: House, event: JobEvent) -> bool:
    """Whether an event reaches a viewer of the live stream."""
    async with (
        httpx.AsyncClient(base_url=home.url, timeout=READY_SECONDS) as client,
        client.stream("GET", "/api/v1/live/sse") as answer,
        asyncio.timeout(READY_SECONDS),
    ):
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        await anext(lines)
        await home.produce([event])
        async for line in lines:
            if f'"{event.id}"' in line:
                return True
    return False


def mixed(home: House, numbers: Sequence[int], **fields: Any) -> list[JobEvent]:
    """Events of several days and kinds, with durations and errors, for every aggregate to have something to count."""
    kinds: list[dict[str, Any]] = [
        {"event": "added", "state": "waiting"},
        {"event": "active", "state": "active"},
        {"event": "completed", "state": "completed"},
        {"event": "failed", "state": "failed", "error": "timed out", "error_type": "TimeoutError"},
    ]
    day = 24 * 60 * MINUTE
    found: list[JobEvent] = []
    for n in numbers:
        known = dict(kinds[n % 4])
        if n % 4 == 1:
            known["wait_ms"] = n % 977
        elif n % 4:
            known["run_ms"] = n % 1009
        if n % 4 == 3:
            known["fingerprint"] = f"{n % 3:016x}"
        found.append(home.event(n, ts=1_795_000_000_000 - n % 3 * day + n * 211, **known, **fields))
    return found


async def in_kafka(home: House) -> list[tuple[int, int, JobEvent]]:
    """Every committed job event that Kafka holds, with its partition and offset."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=home.kafka, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        places = [aiokafka.TopicPartition(home.topics.jobs, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: list[tuple[int, int, JobEvent]] = []
        for place in places:
            await consumer.seek_to_beginning(place)
        async with asyncio.timeout(READY_SECONDS):
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    found += [(place.partition, one.offset, decode(JobEvent, one.value)) for one in records]
        return found
    finally:
        await consumer.stop()


async def agrees_with_kafka(server: Server, home: House, *, but: Sequence[tuple[int, int]] = ()) -> int:
    """Assert that rows and every aggregate are what Kafka holds, no more and no less; return how many.

    but: partitions and offsets of records that are dead letters.
    """
    held = [one for one in await in_kafka(home) if one[:2] not in but]
    rows = await server.query(
        f"SELECT kafka_partition, kafka_offset, id FROM journal WHERE kafka_topic = '{home.topics.jobs}'"
    )
    assert sorted(map(tuple, rows)) == sorted((partition, offset, event.id) for partition, offset, event in held)
    events = [event for *_, event in held]
    per_minute = Counter((event.ts // MINUTE, event.queue, event.event) for event in events)
    assert {
        (minute, queue, event): count
        for minute, queue, event, count in await server.query(
            "SELECT intDiv(ts, 60000) AS minute, queue, event, count() FROM journal"
            " WHERE intDiv(ts, 60000) > 0 AND kind = 'event' GROUP BY minute, queue, event",
            **FORCED,
        )
    } == per_minute
    for column in ("run_ms", "wait_ms"):
        times = [value for event in events if (value := getattr(event, column)) is not None]
        [told] = await server.query(
            f"SELECT count({column}), sum({column}), max({column}) FROM journal WHERE intDiv(ts, 900000) > 0", **FORCED
        )
        assert told == [len(times), sum(times), max(times)]
    failed = [event for event in events if event.fingerprint]
    groups = await server.query(
        "SELECT fingerprint, count(), min(ts), max(ts) FROM journal"
        " WHERE fingerprint != '' AND if(empty(fingerprint), 0, intDiv(ts, 60000)) > 0"
        " GROUP BY fingerprint ORDER BY fingerprint",
        **FORCED,
    )
    assert groups == [
        [name, len(times), min(times), max(times)]
        for name in sorted({event.fingerprint for event in failed})
        if (times := [event.ts for event in failed if event.fingerprint == name])
    ]
    return len(held)
