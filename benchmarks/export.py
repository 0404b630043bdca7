"""What a file of ten million rows costs: memory over time, and what it does to the ingest.

The rows of benchmarks/search.py in an embedded ClickHouse, whose memory is this process's too. First rows are stored
alone, in batches at a steady rate; then the same while a client takes an NDJSON file of all rows at 1 MB/s; then a
client takes the whole file as fast as it comes. Memory is the process's resident set, looked at once a second.

    python -m benchmarks.export [rows] [directory]

Given a directory, the rows of benchmarks/search.py stay there and are found again.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from benchmarks.search import ROWS, fill
from logsvc.api.build import build_api
from logsvc.api.export import Exports
from logsvc.api.journal import Journal
from logsvc.api.logs import logs_routes
from logsvc.auth.who import SCOPE_KEY, Who
from logsvc.metrics import Metrics
from logsvc.schema import migrate
from logsvc.settings import LogsvcSettings
from logsvc.store import Store
from tocsin.breakers import Breakers
from tocsin.health import Health
from tocsin.roles import Role
from tocsin.settings import read

CLIENT_BYTES = 1_000_000
SECONDS = 60.0
MOST_SECONDS = 600.0
"""The whole file is given up after that; the last line printed says how far it came."""
BATCH_ROWS, BATCH_SECONDS = 2_000, 0.5


class Taken:
    """A client that takes so many bytes a second; None = as fast as they come."""

    def __init__(self, bytes_a_second: float | None) -> None:
        self.bytes = 0
        self.rows = 0
        self.last = b""
        self._pace = bytes_a_second
        self._begun = time.monotonic()

    async def send(self, message: Any) -> None:
        body: bytes = message.get("body", b"")
        self.bytes += len(body)
        self.rows += body.count(b"\n")
        self.last = (self.last + body)[-4096:]
        if self._pace:
            await asyncio.sleep(max(0.0, self._begun + self.bytes / self._pace - time.monotonic()))


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@asynccontextmanager
async def memory() -> AsyncGenerator[list[float]]:
    """Look at the memory once a second while the block runs."""
    seen = [resident_mib()]

    async def look() -> None:
        while True:
            await asyncio.sleep(1)
            seen.append(resident_mib())

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()


async def take(api: Any, taken: Taken) -> None:
    """GET the file of all rows."""
    scope: dict[str, Any] = {"type": "http", "http_version": "1.1", "method": "GET", "path": "/api/v1/logs.ndjson"}
    scope |= {"raw_path": b"/api/v1/logs.ndjson", "root_path": "", "scheme": "http", "query_string": b"", "headers": []}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {}}
    scope[SCOPE_KEY] = Who("local", "local", "this machine", Role.ADMIN)
    begun = False

    async def receive() -> dict[str, Any]:
        nonlocal begun
        if begun:
            await asyncio.Event().wait()
        begun = True
        return {"type": "http.request", "body": b"", "more_body": False}

    await api(scope, receive, taken.send)


async def store_steadily(store: Store, first: int, seconds: float) -> list[float]:
    """Insert a batch every BATCH_SECONDS; returns how long each took, ms."""
    took: list[float] = []
    until, number = time.monotonic() + seconds, first
    while time.monotonic() < until:
        now = int(time.time() * 1000)
        rows = [
            {"ts": now, "kind": "log", "queue": "q", "message": f"line {number + n} of a steady stream", "id": str(n)}
            for n in range(BATCH_ROWS)
        ]
        block = b"\n".join(json.dumps(row).encode() for row in rows)
        begun = time.monotonic()
        await store.insert("journal", block, f"bench {begun} {number}")
        took.append((time.monotonic() - begun) * 1000)
        number += BATCH_ROWS
        await asyncio.sleep(max(0.0, BATCH_SECONDS - (time.monotonic() - begun)))
    return took


def told(name: str, seen: list[float], what: str) -> None:
    tenth = max(1, len(seen) // 10)
    steps = " ".join(f"{statistics.median(seen[at : at + tenth]):.0f}" for at in range(0, len(seen), tenth))
    print(f"{name}: {what}\n  MiB over time: {steps} (most {max(seen):.0f})", flush=True)


async def run(rows: int, folder: Path) -> None:
    url = f"chdb://{folder}"
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CLICKHOUSE_URL": url})
    registry = CollectorRegistry()
    store = Store(settings, Breakers(settings, registry))
    await migrate.apply(store, settings.logsvc_retention_days)
    [found] = await store.query("SELECT count() AS n FROM journal")
    if not found["n"]:
        await asyncio.to_thread(fill, url, rows, int(time.time() * 1000))
    journal = Journal(store, lambda: None, time.time)
    api = build_api(
        logs_routes(journal, Exports(asyncio.Event(), Metrics(registry).exported)), Health(), registry, journal.as_of
    )
    async with memory() as seen:
        alone = await store_steadily(store, 0, SECONDS / 2)
    told("storing alone", seen, f"a batch of {BATCH_ROWS:,} takes {statistics.median(alone):.0f} ms")
    async with memory() as seen:
        slow = Taken(CLIENT_BYTES)
        taking = asyncio.create_task(take(api, slow))
        beside = await store_steadily(store, 10**9, SECONDS)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    told(
        "a client at 1 MB/s", seen, f"{slow.bytes / SECONDS / 1e6:.2f} MB/s; a batch {statistics.median(beside):.0f} ms"
    )
    async with memory() as seen:
        begun, fast = time.monotonic(), Taken(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(MOST_SECONDS):
                await take(api, fast)
    seconds, end = time.monotonic() - begun, fast.last.splitlines()[-1][:100].decode()
    told(
        "the whole file",
        seen,
        f"{fast.bytes / 1e9:.2f} GB in {seconds:.0f} s, {fast.rows / seconds:,.0f} rows/s; {end}",
    )
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS, help="how many (default: %(default)s)")
    parser.add_argument("data", type=Path, nargs="?", help="where to keep them, and to find them the next time")
    asked = parser.parse_args()
    if asked.data is not None:
        asyncio.run(run(asked.rows, asked.data.absolute()))
    else:
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as made:
            asyncio.run(run(asked.rows, Path(made)))
