"""What it costs the user's Redis to follow the logs of jobs that run and log nothing, with CLIENT TRACKING and without.

One lane of the bridge follows 1,000 active jobs of five queues on a Redis of its own; what is there besides them, the
waiting for entries, is measured without any job. Calls and CPU time are Redis's own figures.

And how old a line is when it has arrived: lines of one of 200 active jobs, written one after the other at any moment
between two looks, to a whole bridge; from Redis's clock at the write to a consumer of Kafka that reads what is
committed.

    python -m benchmarks.job_logs [--age]
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bridge import servers
from bridge.outbox import Outbox
from bridge.record import Record
from bridge.sources.bullmq.door import Door, Tracked
from tests.clients import aiokafka, redis
from tests.integration.bridge.running import bridge_on
from tests.lanes import lane_on, new_metrics, read_in
from tests.servers.redis_servers import redis_servers
from tocsin.events import LogLine, decode

QUEUES, JOBS = 5, 1_000
LINES = 20
WARM_SECONDS, SECONDS = 5.0, 45.0
TITLE = "| 1,000 active jobs that log nothing | LRANGE/s | LLEN/s | Redis, of one core |\n|---|---|---|---|"


AGED_LINES, AGED_JOBS = 200, 200
WRITE = """
redis.call('RPUSH', KEYS[1], ARGV[1])
return redis.call('TIME')
"""


class PollingDoor(Door):
    """Redis does not tell what changed."""

    def tracked(self, news: asyncio.Event) -> Tracked | None:
        return None


async def add_jobs(client: Any, jobs: int, options: str) -> None:
    """Active jobs with some lines each, as BullMQ leaves them."""
    pipe = client.pipeline(transaction=False)
    for number in range(jobs):
        queue, job = f"bull:q{number % QUEUES}", f"job-{number}"
        pipe.hset(f"{queue}:{job}", mapping={"name": "send", "timestamp": 1, "opts": options})
        pipe.rpush(f"{queue}:{job}:logs", *(f"line {line} of a job" for line in range(LINES)))
        for event in ({"event": "added", "name": "send"}, {"event": "waiting"}, {"event": "active"}):
            pipe.xadd(f"{queue}:events", {**event, "jobId": job})
    await pipe.execute()


async def drain(outbox: Outbox[list[Record]]) -> None:
    while await outbox.wait():
        for tell in outbox.take()[1]:
            tell()


async def used(client: Any) -> float:
    """CPU seconds of Redis so far."""
    cpu = await client.info("cpu")
    return cpu["used_cpu_user"] + cpu["used_cpu_sys"]


async def measure(client: Any) -> tuple[float, float, float]:
    """LRANGE/s, LLEN/s and the share of one core, once everything was read."""
    await asyncio.sleep(WARM_SECONDS)
    await client.config_resetstat()
    begun, before = time.monotonic(), await used(client)
    await asyncio.sleep(SECONDS)
    seconds, share = time.monotonic() - begun, await used(client) - before
    stats = await client.info("commandstats")
    lrange, llen = (stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] / seconds for name in ("lrange", "llen"))
    return lrange, llen, share / seconds


async def of(client: Any, name: str, door: Door, *, jobs: int, options: str = "{}") -> None:
    """Print one line of the table."""
    await client.flushall()
    await add_jobs(client, jobs, options)
    outbox, end = Outbox(lambda record: record, list[Record]), asyncio.Event()
    metrics = new_metrics()
    lane = lane_on(door, outbox, metrics)
    for number in range(QUEUES):
        read_in(lane, door, metrics, f"q{number}")
    async with asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        group.create_task(drain(outbox))
        lrange, llen, share = await measure(client)
        print(f"| {name} | {lrange:,.0f} | {llen:,.0f} | {share:.2%} |", flush=True)
        end.set()
        outbox.close()
    await door.close()


async def ages() -> list[float]:
    """Seconds from the write of each line to its arrival."""
    found: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        data = Path(place)
        async with servers(data) as (url, kafka), bridge_on(kafka, "bench.", url, data / "bridge.log") as bridge:
            client = redis.from_url(url)
            await client.hset("bull:q0:meta", "version", "bullmq:6.7.0")
            await bridge.start()
            await bridge.ready()
            await add_jobs(client, AGED_JOBS, "{}")
            consumer = aiokafka.AIOKafkaConsumer(
                "bench.logs", bootstrap_servers=kafka, isolation_level="read_committed", auto_offset_reset="earliest"
            )
            await consumer.start()
            for number in range(AGED_LINES):
                await asyncio.sleep(random.uniform(0, 1))
                seconds, microseconds = await client.eval(WRITE, 1, "bull:q0:job-0:logs", f"aged {number}")
                while decode(LogLine, (await consumer.getone()).value).message != f"aged {number}":
                    pass
                found.append(time.time() - int(seconds) - int(microseconds) / 1e6)
            await consumer.stop()
            await client.aclose()
    return found


async def print_ages() -> None:
    print("| a line's age in Kafka | median | p99 | worst of 200 |\n|---|---|---|---|", flush=True)
    found = sorted(await ages())
    p99 = found[len(found) * 99 // 100]
    print(f"| tracked | {statistics.median(found):.2f} s | {p99:.2f} s | {found[-1]:.2f} s |", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--age", action="store_true", help="how old a line is in Kafka, instead of what it costs")
    if parser.parse_args().age:
        await print_ages()
        return
    print(TITLE, flush=True)
    with tempfile.TemporaryDirectory() as place:
        async with redis_servers(Path(place)) as servers:
            server = await servers.start("valkey")
            url, client = server.url, server.client
            await of(client, "no job at all", Door(url), jobs=0)
            await of(client, "tracked", Door(url), jobs=JOBS)
            await of(client, "polled", PollingDoor(url), jobs=JOBS)
            await of(client, "polled, all with `keepLogs: 20`", PollingDoor(url), jobs=JOBS, options='{"kl":20}')


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
