"""What a live viewer costs, and how late its lines are: 500 viewers, 5,000 lines/s offered, a real Kafka.

Each is a process of its own: who offers the lines, logsvc (which stores them meanwhile), and the viewers, whose CPU is
not counted. In the same run the same lines go to a naive fan-out by Starlette, which encodes and sends every line for
every viewer apart, and to viewers that ask logsvc's history again and again instead: --pollers of them, for it is
ClickHouse that each of their questions reads.

Every 25th viewer sees everything, the others one queue of 25. A line's age is taken twice, from the producer's clock on
the same machine, of a frame with many lines the oldest's: when logsvc has made the frame (`lag_ms`), which leaves out
what the viewers themselves cost, and when the viewer has it.

    python -m benchmarks.live [--viewers 500] [--rate 5000] [--pollers 20]
"""

import argparse
import asyncio
import base64
import importlib
import json
import os
import random
import re
import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import uvicorn

from tests.clients import aiokafka
from tests.eventually import eventually
from tests.integration.logsvc.house import PARTITIONS, House, house
from tests.ports import free_port
from tests.servers import run as servers
from tocsin.events import Level, LogLine, encode
from tocsin.topics import Topics, partition_of, queue_key

VIEWERS, PROCESSES, RATE, QUEUES = 500, 2, 5_000, 25
POLLERS, POLL_SECONDS = 20, 2.0
WARM_SECONDS, SECONDS = 5.0, 20.0
TICKS = os.sysconf("SC_CLK_TCK")
HEAD = """\
| | viewers | lines/s | lines per CPU second | sent p50, ms | p99 | had p50, ms | p99 | left out | CPU of the server |
|---|---|---|---|---|---|---|---|---|---|"""
_TS = re.compile(rb'"ts":"([^"]+)"')
_LAG = re.compile(rb'"lag_ms":(\d+)')
_DROPPED = re.compile(rb'"dropped":(\d+)')
TEXT, PING, PONG = 1, 9, 10


def line(queue: str, number: int) -> bytes:
    """A line of some 350 bytes."""
    said = f"charged card of customer {random.randrange(10**6)} in {random.randrange(2_000)} ms, request {uuid.uuid4()}"
    return encode(
        LogLine(
            v=1,
            id=f"main:{queue}:{number}:l",
            ts=int(time.time() * 1000),
            level=Level.INFO,
            message=said,
            env="prod",
            source="main",
            queue=queue,
            job_id=str(number),
            job_name="charge",
            added_at=1_795_000_000_000,
            attempt=1,
            line=0,
        )
    )


async def produce(kafka: str, prefix: str, rate: int) -> None:
    """Offer so many lines a second until killed."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=kafka, acks=1)
    await producer.start()
    topic, number, begun = Topics(prefix).logs, 0, time.monotonic()
    queues = [f"q{n}" for n in range(QUEUES)]
    while True:
        batches = {n: producer.create_batch() for n in range(PARTITIONS)}
        while number < (time.monotonic() - begun) * rate:
            queue = queues[number % QUEUES]
            batch = batches[partition_of("main", queue, PARTITIONS)]
            batch.append(key=queue_key("main", queue).encode(), value=line(queue, number), timestamp=None)
            number += 1
        for partition, batch in batches.items():
            if batch.record_count():
                batch.close()
                await producer.send_batch(batch, topic, partition=partition)
        await asyncio.sleep(0.02)


class Seen:
    """What the viewers of one process have had. ages: of frames' oldest lines, ms, here; lags: when they were sent."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.lines = self.dropped = 0
        self.ages: list[float] = []
        self.lags: list[float] = []

    def frame(self, text: bytes) -> None:
        self.lines += text.count(b'"kind":')
        if found := _TS.search(text):
            self.ages.append(time.time() * 1000 - _ms(found[1].decode()))
        tail = text[-200:]
        if found := _LAG.search(tail):
            self.lags.append(float(found[1]))
        if found := _DROPPED.search(tail):
            self.dropped += int(found[1])


class Viewer(asyncio.Protocol):
    """A WebSocket that counts what comes, for a library's would take the cores from what is measured (RFC 6455).

    A server's frames are not masked, and a ping must be answered, or it hangs up.
    """

    def __init__(self, seen: Seen, path: str) -> None:
        self._seen = seen
        self._path = path
        self._is_open = False
        self._had = bytearray()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._had += data
        if not self._is_open:
            head, end, rest = self._had.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._is_open, self._had = True, rest
        while frame := _frame(self._had):
            opcode, payload, size = frame
            if opcode == PING:
                self._transport.write(bytes((0x80 | PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
            elif opcode == TEXT:
                self._seen.frame(payload)
            del self._had[:size]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def _frame(had: bytearray) -> tuple[int, bytes, int] | None:
    """Opcode and payload of the first frame and its whole size, if it is there."""
    if len(had) < 2:
        return None
    length, start = had[1] & 0x7F, 2
    if length > 125:
        start = 4 if length == 126 else 10
        length = int.from_bytes(had[2:start])
    end = start + length
    return (had[0] & 0x0F, bytes(had[start:end]), end) if len(had) >= end else None


def _ms(ts: str) -> float:
    moment = time.strptime(ts[:19], "%Y-%m-%dT%H:%M:%S")
    return (time.mktime(moment) - time.timezone) * 1000 + int(ts[20:23])


def query(viewer: int) -> str:
    return "" if viewer % 25 == 0 else f"?queue=q{viewer % QUEUES}"


async def view(url: str, first: int, number: int) -> None:
    """Open these viewers, and print what they have had between the two lines on standard input."""
    seen = Seen()

    parts = urlsplit(url)

    async def watch(viewer: int) -> None:
        loop = asyncio.get_running_loop()
        path = f"{parts.path}{query(viewer)}"
        _, viewing = await loop.create_connection(lambda: Viewer(seen, path), "127.0.0.1", parts.port or 80)
        await viewing.ended

    tasks = [asyncio.create_task(watch(first + n)) for n in range(number)]
    await _between_lines(seen, tasks)


async def poll(url: str, number: int) -> None:
    """The same for viewers that ask the history for what is new, each every POLL_SECONDS."""
    seen = Seen()

    async def watch(viewer: int) -> None:
        asked: dict[str, Any] = {"limit": 1000} | ({} if viewer % 25 == 0 else {"queue": f"q{viewer % QUEUES}"})
        newest = ""
        known: set[str] = set()
        await asyncio.sleep(random.uniform(0, POLL_SECONDS))
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            while True:
                answer = await client.get("/api/v1/logs", params=asked | ({"from": newest} if newest else {}))
                found: list[dict[str, str]] = answer.json().get("items", [])
                items = [row for row in found if row["id"] not in known]
                now = time.time() * 1000
                if newest:
                    seen.lines += len(items)
                    seen.ages += [now - _ms(row["ts"]) for row in items[-1:]]
                known = {row["id"] for row in items} | (known if len(known) < 50_000 else set())
                newest = items[0]["ts"] if items else newest
                await asyncio.sleep(POLL_SECONDS)

    await _between_lines(seen, [asyncio.create_task(watch(n)) for n in range(number)])


async def _between_lines(seen: Seen, tasks: Sequence[asyncio.Task[None]]) -> None:
    for begins in (True, False):
        await asyncio.to_thread(sys.stdin.readline)
        if begins:
            seen.begin()
    print(json.dumps(vars(seen)), flush=True)
    for task in tasks:
        task.cancel()
    failed = [one for one in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(one, Exception)]
    if failed:
        raise failed[0]


async def naive(kafka: str, prefix: str, port: int) -> None:
    """One send a message a viewer, as the first version of such a thing is written with Starlette."""
    applications: Any = importlib.import_module("starlette.applications")
    routing: Any = importlib.import_module("starlette.routing")
    gone: type[Exception] = importlib.import_module("starlette.websockets").WebSocketDisconnect
    viewers: dict[Any, str] = {}

    async def live(websocket: Any) -> None:
        await websocket.accept()
        viewers[websocket] = websocket.query_params.get("queue", "")
        try:
            async for _ in websocket.iter_text():
                pass
        finally:
            viewers.pop(websocket, None)

    async def deliver(websocket: Any, row: Mapping[str, Any]) -> None:
        try:
            await websocket.send_json(row)
        except (gone, RuntimeError):
            viewers.pop(websocket, None)

    async def fan_out() -> None:
        consumer = aiokafka.AIOKafkaConsumer(Topics(prefix).logs, bootstrap_servers=kafka, fetch_max_wait_ms=50)
        await consumer.start()
        async for message in consumer:
            row = json.loads(message.value)
            moment = time.gmtime(row["ts"] / 1000)
            row |= {"kind": "log", "ts": time.strftime("%Y-%m-%dT%H:%M:%S", moment) + f".{row['ts'] % 1000:03d}Z"}
            wanting = [viewer for viewer, queue in viewers.items() if queue in ("", row["queue"])]
            await asyncio.gather(*(deliver(viewer, row) for viewer in wanting))

    app = applications.Starlette(routes=[routing.WebSocketRoute("/", live)])
    config = uvicorn.Config(
        app, port=port, ws="websockets-sansio", ws_per_message_deflate=False, lifespan="off", log_config=None
    )
    await asyncio.gather(uvicorn.Server(config).serve(), fan_out())


async def start(*arguments: str) -> asyncio.subprocess.Process:
    """Another role of this program, in a process of its own."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "benchmarks.live", *arguments]
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=2**26)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def measure(pid: int, viewers: Sequence[asyncio.subprocess.Process]) -> tuple[float, float, dict[str, Any]]:
    """Seconds, the server's CPU in them, and what the viewers have had."""
    await asyncio.sleep(WARM_SECONDS)
    for one in viewers:
        assert one.stdin
        one.stdin.write(b"\n")
    begun, before = time.monotonic(), cpu_of(pid)
    await asyncio.sleep(SECONDS)
    seconds, cpu = time.monotonic() - begun, cpu_of(pid) - before
    total: dict[str, Any] = {"lines": 0, "dropped": 0, "ages": [], "lags": []}
    for one in viewers:
        assert one.stdin
        assert one.stdout
        one.stdin.write(b"\n")
        for name, value in json.loads(await asyncio.wait_for(one.stdout.readline(), 120)).items():
            total[name] += value
        await asyncio.wait_for(one.wait(), 60)
    return seconds, cpu, total


def row(name: str, viewers: int, measured: tuple[float, float, dict[str, Any]]) -> str:
    """A line of the table. All of the server's CPU counts, logsvc's storing too."""
    seconds, cpu, total = measured
    times = " | ".join(f"{_share(total[one], 0.5):,.0f} | {_share(total[one], 0.99):,.0f}" for one in ("lags", "ages"))
    return (
        f"| {name} | {viewers} | {total['lines'] / seconds:,.0f} | {total['lines'] / max(cpu, 0.01):,.0f} | {times} "
        f"| {total['dropped']:,} | {cpu / seconds:.0%} |"
    )


def _share(values: Sequence[float], share: float) -> float:
    found = sorted(values) or [float("nan")]
    return found[int(len(found) * share)]


async def watched(url: str, viewers: int) -> list[asyncio.subprocess.Process]:
    each = viewers // PROCESSES
    return [await start("view", url, str(n * each), str(each)) for n in range(PROCESSES)]


async def run(kafka: str, data: Path, viewers: int, rate: int, polling: int) -> None:
    prefix = f"b{uuid.uuid4().hex[:8]}."
    print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
    async with house(data / "logsvc", kafka, prefix, LOGSVC_VIEWERS="2000") as home:
        await home.start()
        await home.ready()
        producing = await start("produce", kafka, prefix, str(rate))
        try:
            await of_logsvc(home, viewers, polling)
            await of_naive(kafka, prefix, viewers)
        finally:
            producing.kill()
            await producing.wait()
    print(f"load after: {os.getloadavg()[0]:.1f}", flush=True)


async def of_logsvc(home: House, number: int, polling: int) -> None:
    assert home.process is not None
    pid = home.process.pid
    seconds, cpu, _ = await measure(pid, [])
    without = cpu / seconds
    print(f"logsvc without viewers, storing: {without:.0%} of a core; records not stored yet: {await lag(home)}")
    print(HEAD, flush=True)
    viewers = await watched(f"ws://127.0.0.1:{home.port}/api/v1/live", number)

    async def all_there() -> bool:
        return (await home.json("/api/v1/system"))["live"]["viewers"] == number // PROCESSES * PROCESSES

    await eventually(all_there, seconds=120, what="every viewer there")
    print(row("logsvc", number, await measure(pid, viewers)), flush=True)
    print(f"records not stored yet: {await lag(home)}", flush=True)
    pollers = [await start("poll", home.url, str(polling))]
    print(row(f"asking history every {POLL_SECONDS:g} s", polling, await measure(pid, pollers)), flush=True)


async def lag(home: House) -> int:
    return sum(lane["lag"] for lane in (await home.json("/api/v1/system"))["pipeline"])


async def of_naive(kafka: str, prefix: str, number: int) -> None:
    port = free_port()
    server = await start("naive", kafka, prefix, str(port))
    try:
        await asyncio.sleep(WARM_SECONDS)
        viewers = await watched(f"ws://127.0.0.1:{port}/", number)
        await asyncio.sleep(WARM_SECONDS)
        print(row("naive, Starlette, one send a line a viewer", number, await measure(server.pid, viewers)), flush=True)
    finally:
        server.kill()
        await server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--viewers", type=int, default=VIEWERS)
    parser.add_argument("--rate", type=int, default=RATE, help="lines offered a second")
    parser.add_argument("--pollers", type=int, default=POLLERS, help="viewers that ask history instead")
    asked = parser.parse_args()
    role: list[str] = asked.role
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    match role:
        case ["produce", kafka, prefix, rate]:
            asyncio.run(produce(kafka, prefix, int(rate)))
        case ["view", url, first, number]:
            asyncio.run(view(url, int(first), int(number)))
        case ["poll", url, number]:
            asyncio.run(poll(url, int(number)))
        case ["naive", kafka, prefix, port]:
            asyncio.run(naive(kafka, prefix, int(port)))
        case _:
            servers.open_run()
            try:
                with tempfile.TemporaryDirectory() as data:
                    asyncio.run(run(servers.shared("kafka"), Path(data), asked.viewers, asked.rate, asked.pollers))
            finally:
                servers.close_run()


if __name__ == "__main__":
    main()
