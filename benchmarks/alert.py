"""How soon a failure rings, and what a storm costs: from BullMQ's `failed` event to the call of Telegram's Bot API.

idle: one failure after the other, each of a queue and a chat of its own. load: the same while another queue has events
as fast as asked for. storm: many failures of 200 fingerprints within a minute, all of one chat. Everything runs here on
servers of its own: a Valkey, an Apache Kafka, a Postgres, bridge, bot and the stand-in for Telegram.

    python -m benchmarks.alert [--load EVENTS_A_SECOND] [--storm FAILURES]
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.bridge import servers
from tests.clients import redis
from tests.product import Product, product
from tests.servers.sandbox import CHAT
from tocsin.stack.ports import Ports
from tocsin.stack.postgres import start_postgres

QUEUES, APART_SECONDS = 50, 0.4
FINGERPRINTS, STORM_SECONDS = 200, 60
FIRST_CHAT, GROUP = 50_000, -1_000_000_000_050
TOKEN = "service-token-of-the-benchmark"

FAIL = """
local name, first, count, kinds = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('HSET', name .. ':meta', 'opts.maxLenEvents', 1000000, 'version', 'bullmq:6.7.0')
local at = ''
for job = first, first + count - 1 do
  local kind = 'Error' .. string.char(65 + job % kinds % 20, 65 + math.floor(job % kinds / 20))
  redis.call('HSET', name .. ':' .. job, 'name', 'charge', 'timestamp', 1700000000000, 'ats', 1, 'atm', 1, 'opts', '{}',
    'processedOn', 1700000000100, 'finishedOn', 1700000000200, 'failedReason', 'refused ' .. job,
    'stacktrace', cjson.encode({kind .. ': refused ' .. job .. '\\n    at charge' .. kind .. ' (/app/charge.js:1:2)'}))
  at = redis.call('XADD', name .. ':events', '*', 'event', 'failed', 'jobId', job, 'failedReason', 'refused ' .. job,
    'prev', 'active')
end
return at
"""
LOAD = """
for at = 1, tonumber(ARGV[1]) do
  redis.call('XADD', KEYS[1] .. ':events', 'MAXLEN', '~', 100000, '*', 'event', 'progress', 'jobId', at, 'data', '{}')
end
"""


async def fail(client: Any, queue: str, first: int, count: int = 1, kinds: int = 1) -> int:
    """Let jobs fail; return when the last one did, by Redis' clock in ms."""
    found: bytes = await client.eval(FAIL, 1, f"bull:{queue}", first, count, kinds)
    return int(found.split(b"-")[0])


@asynccontextmanager
async def everything(chats: str, settings: dict[str, str]) -> AsyncGenerator[tuple[Product, Any]]:
    """The product without history, and a client of its Redis."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place)
        async with servers(data) as (redis_url, kafka):
            postgres = await start_postgres(data / "postgres", Ports(data), 0)
            url = postgres.settings["DATABASE_URL"]
            client = redis.from_url(redis_url)
            more = {"TELEGRAM_ALERT_CHATS": chats, "TOCSIN_SERVICE_TOKEN": TOKEN, "LOG_LEVEL": "warning", **settings}
            try:
                async with product(
                    data / "product", kafka=kafka, prefix="bench.", redis=redis_url, postgres=url, settings=more
                ) as tocsin:
                    await client.hset("bull:first:meta", "version", "bullmq:6.7.0")
                    await tocsin.start("sandbox")
                    await tocsin.ready()
                    async with httpx.AsyncClient(base_url=tocsin.url("sandbox"), timeout=10) as people:
                        group = {"id": GROUP, "title": "on call", "members": [{"user_id": CHAT}]}
                        (await people.post("/sandbox/chats", json=group)).raise_for_status()
                    for service in ("bridge", "bot"):
                        await tocsin.start(service)
                    await tocsin.ready()
                    yield tocsin, client
            finally:
                await client.aclose()
                await postgres.child.stop()


async def sent(tocsin: Product, method: str = "sendMessage") -> list[dict[str, Any]]:
    """What the bot sent so far."""
    async with httpx.AsyncClient(base_url=tocsin.url("sandbox"), timeout=60) as client:
        answer = await client.get("/sandbox/calls", params={"method": method})
        return answer.raise_for_status().json()["items"]


async def latencies(load: int) -> tuple[list[float], float, float]:
    """Seconds from each failure to its message's call; events a second that were made, and relayed, beside them."""
    chats = ",".join(f"main/bench-{one}={FIRST_CHAT + one}" for one in range(QUEUES))
    async with everything(f"{chats},main/*={CHAT}", {"BOT_STORM_INCIDENTS": "1000"}) as (tocsin, client):
        async with httpx.AsyncClient(base_url=tocsin.url("sandbox"), timeout=10) as people:
            for one in range(QUEUES):
                person = {"chat_id": FIRST_CHAT + one, "user_id": FIRST_CHAT + one, "text": "/start"}
                (await people.post("/sandbox/messages", json=person)).raise_for_status()
        for one in range(QUEUES):  # the bridge must know the queues
            await client.hset(f"bull:bench-{one}:meta", "version", "bullmq:6.7.0")
        await asyncio.sleep(8)
        stop = asyncio.Event()
        loading = asyncio.create_task(_load(client, load, stop))
        await asyncio.sleep(3 if load else 0)
        failed: dict[int, int] = {}
        for one in range(QUEUES):
            failed[FIRST_CHAT + one] = await fail(client, f"bench-{one}", 1)
            await asyncio.sleep(APART_SECONDS)
        rung: dict[int, float] = {}
        for _ in range(120):
            rung = _after(await sent(tocsin), failed)
            if len(rung) == len(failed):
                break
            await asyncio.sleep(0.5)
        stop.set()
        made = await loading
        relayed = await _relayed(tocsin) / made[1] if load else 0.0
        assert len(rung) == len(failed), f"only {len(rung)} of {len(failed)} have rung"
        return list(rung.values()), made[0] / made[1], relayed


async def _relayed(tocsin: Product) -> float:
    """Events of the loaded queue that are in Kafka."""
    async with httpx.AsyncClient(base_url=tocsin.url("bridge"), timeout=20) as client:
        lines = (await client.get("/metrics")).raise_for_status().text.splitlines()
    name = "bridge_events_relayed_total{"
    return sum(float(one.rpartition(" ")[2]) for one in lines if one.startswith(name) and 'queue="load"' in one)


def _after(calls: Sequence[dict[str, Any]], failed: Mapping[int, int]) -> dict[int, float]:
    """Chat -> seconds from its failure to the first message after that."""
    rung: dict[int, float] = {}
    for one in calls:
        failed_ms = failed.get(int(one["chat_id"]))
        if failed_ms is not None and one["at"] >= failed_ms / 1000:
            rung.setdefault(int(one["chat_id"]), one["at"] - failed_ms / 1000)
    return rung


async def _load(client: Any, per_second: int, stop: asyncio.Event) -> tuple[int, float]:
    """Make events until stop; return how many, and in how many seconds."""
    begun, done = time.monotonic(), 0
    if per_second:
        await client.hset("bull:load:meta", "version", "bullmq:6.7.0")
    while per_second and not stop.is_set():
        missing = int((time.monotonic() - begun) * per_second) - done
        if missing > 0:
            await client.eval(LOAD, 1, "bull:load", min(missing, 2000))
            done += min(missing, 2000)
        await asyncio.sleep(0.02)
    return done, time.monotonic() - begun


async def storm(failures: int) -> tuple[int, int, int, float, float]:
    """The most new messages, and calls, of the group within a minute; failures counted at the end, the bot's memory in
    MB, and how long it took."""
    async with everything(f"main/*={GROUP}", {}) as (tocsin, client):
        await client.hset("bull:storm:meta", "version", "bullmq:6.7.0")
        await asyncio.sleep(6)
        begun, done = time.monotonic(), 0
        while done < failures:
            wanted = min(failures, int((time.monotonic() - begun) / STORM_SECONDS * failures) + 100)
            if wanted > done:
                await fail(client, "storm", done, min(wanted - done, 500), FINGERPRINTS)
                done += min(wanted - done, 500)
            await asyncio.sleep(0.05)
        counted, most_memory = 0, 0.0
        async with httpx.AsyncClient(base_url=tocsin.url("bot"), timeout=20) as bot:
            while counted < failures and time.monotonic() - begun < 600:
                page = await bot.get(
                    "/internal/v1/incidents?queue=storm&limit=500", headers={"authorization": f"Bearer {TOKEN}"}
                )
                counted = sum(one["count"] for one in page.raise_for_status().json()["items"])
                most_memory = max(most_memory, _memory(tocsin.running["bot"].pid))
                await asyncio.sleep(1)
        seconds = time.monotonic() - begun
        await asyncio.sleep(20)
        new, edits = await sent(tocsin), await sent(tocsin, "editMessageText")
        most = [_most_in_a_minute([float(one["at"]) for one in some]) for some in (new, [*new, *edits])]
        return most[0], most[1], counted, most_memory, seconds


def _memory(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _most_in_a_minute(calls: Sequence[float]) -> int:
    return max((sum(first <= at < first + 60 for at in calls) for first in calls), default=0)


def _told(name: str, found: Sequence[float]) -> str:
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    return f"{name:24} p50 {cuts[49] * 1000:6.0f} ms   p99 {cuts[98] * 1000:6.0f} ms   of {len(found)}"


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--load", type=int, default=10_000, help="0 = the storm only")
    options.add_argument("--storm", type=int, default=50_000, help="0 = the latencies only")
    asked = options.parse_args()
    if asked.load:
        print(_told("idle", (await latencies(0))[0]))
        found, made, relayed = await latencies(asked.load)
        print(_told(f"at {asked.load:,} events/s", found), f"({made:,.0f} made a second, {relayed:,.0f} relayed)")
    if not asked.storm:
        return
    new, calls, counted, memory, seconds = await storm(asked.storm)
    print(f"storm of {asked.storm:,}: {new} new messages, {calls} with edits, in the group's busiest minute;")
    print(f"{'':16}{counted:,} counted after {seconds:.0f} s; the bot held {memory:.0f} MB")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
