"""What it costs the user's Redis to follow the logs of jobs that run and log nothing, with CLIENT TRACKING and without.

One lane of the bridge follows 1,000 active jobs of five queues on a Redis of its own; what is there besides them, the
waiting for entries, is measured without any job. Calls and CPU time are Redis's own figures.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bridge.outbox import Outbox
from bridge.record import Record
from bridge.sources.bullmq.door import Door, Tracked
from tests.lanes import lane_on, new_metrics, read_in
from tests.redis_servers import redis_servers

QUEUES, JOBS = 5, 1_000
LINES = 20
WARM_SECONDS, SECONDS = 5.0, 45.0
TITLE = "| 1,000 active jobs that log nothing | LRANGE/s | LLEN/s | Redis, of one core |\n|---|---|---|---|"


class PollingDoor(Door):
    """Redis does not tell what changed."""

    def tracked(self) -> Tracked | None:
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


async def main() -> None:
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
