"""What the bridge costs the user's Redis: CPU share and calls, at rest and under events, by number of queues.

A Redis of its own holds so many queues. At rest nothing happens in them. Under load 500 events/s come, half of them in
five busy queues, half in any. Both are measured without the bridge and with it; the difference of Redis's own CPU time
is what the bridge costs, in shares of one core: Redis has no more. Which commands cost most is from its commandstats.
`--keys` puts so many keys of kept jobs beside the queues, which SCAN has to pass.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bridge import cpu_seconds, servers
from tests.clients import redis
from tests.eventually import eventually
from tests.product import Product, product

QUEUES = (10, 100, 1_000, 10_000)
SECONDS = 15.0
EVENTS_A_SECOND, BUSY = 500, 5
LOAD = ("xadd", "hset", "lpush", "info", "config")
"""Commands of the benchmark itself."""
TITLE = (
    "| queues | | Redis without bridge | what the bridge adds | bridge itself | calls/s | most of it |\n"
    "|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Cost:
    """Of one measurement: Redis's CPU as a share of one core; commands of the bridge: (calls/s, share of a core)."""

    redis: float
    bridge: float
    commands: dict[str, tuple[float, float]]


def row(queues: int, name: str, without: Cost, cost: Cost) -> str:
    """One line of the table."""
    most = sorted(cost.commands.items(), key=lambda one: -one[1][1])[:4]
    calls = sum(rate for rate, _ in cost.commands.values())
    told = ", ".join(f"{command.replace('|', ' ')} {share:.2%}" for command, (_, share) in most)
    added = cost.redis - without.redis
    return f"| {queues:,} | {name} | {without.redis:.1%} | {added:.1%} | {cost.bridge:.1%} | {calls:,.0f} | {told} |"


async def make_queues(client: Any, count: int) -> None:
    """Queues as BullMQ leaves them: a meta hash and a stream of one entry."""
    for first in range(0, count, 500):
        pipe = client.pipeline(transaction=False)
        for number in range(first, min(count, first + 500)):
            pipe.hset(f"bull:q{number}:meta", mapping={"opts.maxLenEvents": 10_000, "version": "bullmq:6.7.0"})
            pipe.xadd(f"bull:q{number}:events", {"event": "resumed"})
        await pipe.execute()


async def keep_jobs(client: Any, count: int) -> None:
    """Keys as jobs leave them; what they hold costs SCAN nothing."""
    fill = "for at = ARGV[1], ARGV[2] do redis.call('SET', 'bull:q0:' .. at, '') end"
    for first in range(0, count, 50_000):
        await client.eval(fill, 0, 10**9 + first, 10**9 + min(count, first + 50_000) - 1)


async def add_events(client: Any, queues: int, end: asyncio.Event) -> int:
    """EVENTS_A_SECOND until the end, each of a job that waits; return how many."""
    job = 0
    while not end.is_set():
        begun = time.monotonic()
        pipe = client.pipeline(transaction=False)
        for number in range(EVENTS_A_SECOND // 20):
            job += 1
            queue = random.randrange(BUSY if number % 2 else queues)
            pipe.hset(f"bull:q{queue}:{job}", mapping={"name": "send", "timestamp": 1, "data": "{}", "opts": "{}"})
            pipe.lpush(f"bull:q{queue}:wait", job)
            pipe.xadd(f"bull:q{queue}:events", {"event": "added", "jobId": job, "name": "send"})
        await pipe.execute()
        await asyncio.sleep(max(0, 0.05 - (time.monotonic() - begun)))
    return job


async def used(client: Any) -> float:
    """CPU seconds of Redis so far."""
    cpu = await client.info("cpu")
    return cpu["used_cpu_user"] + cpu["used_cpu_sys"]


async def measure(client: Any, pid: int | None) -> Cost:
    """SECONDS of what happens now. pid: the bridge's, if one runs."""
    await client.config_resetstat()
    begun, redis_before, before = time.monotonic(), await used(client), cpu_seconds(pid) if pid else 0
    await asyncio.sleep(SECONDS)
    stats = await client.info("commandstats")
    redis_used, bridge_used = await used(client) - redis_before, cpu_seconds(pid) - before if pid else 0
    seconds = time.monotonic() - begun
    commands = {name.removeprefix("cmdstat_"): each for name, each in stats.items()}
    return Cost(
        redis_used / seconds,
        bridge_used / seconds,
        {
            name: (each["calls"] / seconds, each["usec"] / 1e6 / seconds)
            for name, each in commands.items()
            if not name.startswith(LOAD)
        },
    )


async def both(client: Any, queues: int, pid: int | None) -> tuple[Cost, Cost, int]:
    """At rest, and under load; and how many events that was."""
    at_rest = await measure(client, pid)
    end = asyncio.Event()
    load = asyncio.create_task(add_events(client, queues, end))
    loaded = await measure(client, pid)
    end.set()
    return at_rest, loaded, await load


async def of_queues(tocsin: Product, client: Any, queues: int, keys: int) -> list[str]:
    """The rows of one number of queues."""
    await keep_jobs(client, keys)
    await make_queues(client, queues)
    *without, before = await both(client, queues, None)
    process = await tocsin.start("bridge")
    await tocsin.ready("bridge")

    async def is_met() -> bool:
        is_found = await tocsin.metric("bridge", "bridge_queues_watched") == queues  # by the first scan, at its end
        return is_found and await tocsin.metric("bridge", "bridge_events_relayed_total") >= queues + before

    await eventually(is_met, seconds=300, what="everything relayed that was there before")
    *costs, _ = await both(client, queues, process.pid)
    await tocsin.stop("bridge")
    names = ("at rest", f"{EVENTS_A_SECOND} events/s")
    return [row(queues, *one) for one in zip(names, without, costs, strict=True)]


async def main(numbers: Sequence[int], keys: int) -> None:
    print(TITLE, flush=True)
    for queues in numbers:
        with tempfile.TemporaryDirectory() as place:
            async with servers(Path(place)) as (redis_url, kafka):
                client = redis.from_url(redis_url)
                poll = {"BRIDGE_POLL_SECONDS": "5", "BRIDGE_DISCOVERY_SECONDS": "10"}  # as it ships
                async with product(
                    Path(place),
                    kafka=kafka,
                    prefix="bench.",
                    redis=redis_url,
                    postgres="postgresql://unused",
                    settings=poll,
                ) as tocsin:
                    for row in await of_queues(tocsin, client, queues, keys):
                        print(row, flush=True)
                await client.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("queues", type=int, nargs="*", default=QUEUES)
    parser.add_argument("--keys", type=int, default=0, help="keys of kept jobs besides")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.queues, given.keys)))
