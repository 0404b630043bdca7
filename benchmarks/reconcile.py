"""What comparing a queue of 10,000 open jobs with its Redis costs: a pass that finds nothing, and all drained at once.

Of jobs that wait, and of jobs that are delayed, whose priorities are read one by one.

One lane on a real Valkey, its records thrown away. Server time is Valkey's own count (`commandstats`), client time the
process's CPU; both of one run on one machine, whose cores they share.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bridge.outbox import Outbox
from bridge.record import Record
from bridge.sources.bullmq.door import Door
from tests.clients import redis
from tests.eventually import eventually
from tests.lanes import lane_on, new_metrics, read_in
from tocsin.stack.ports import Ports
from tocsin.stack.valkey import start_valkey

JOBS = 10_000
EVERY_SECONDS = 2.0


async def fill(app: Any, place: str) -> None:
    """The jobs' hashes, their place (`wait` or `delayed`) and their events."""
    await app.flushall()
    pipe = app.pipeline(transaction=False)
    pipe.hset("bull:big:meta", "opts.maxLenEvents", 10 * JOBS)
    job = {"name": "send", "timestamp": 5, "opts": "{}", "data": "{}", "priority": 0}
    for number in range(JOBS):
        pipe.hset(f"bull:big:{number}", mapping=job)
        pipe.lpush("bull:big:wait", number) if place == "wait" else pipe.zadd(
            "bull:big:delayed", {str(number): 1 << 52}
        )
        for event in ("added", "waiting" if place == "wait" else "delayed"):
            pipe.xadd("bull:big:events", {"event": event, "jobId": number, "name": "send", "delay": 1 << 40})
    await pipe.execute()


async def server_cost(app: Any) -> tuple[int, float]:
    """Calls and milliseconds of commands since CONFIG RESETSTAT, but for wake-ups; what EXEC runs counts twice."""
    stats: dict[str, dict[str, Any]] = await app.info("commandstats")
    leave = ("info", "config", "xread")
    mine = [figures for name, figures in stats.items() if not name.removeprefix("cmdstat_").startswith(leave)]
    return sum(each["calls"] for each in mine), sum(each["usec"] for each in mine) / 1000


async def measure(url: str, place: str) -> None:
    app: Any = redis.from_url(url)
    await fill(app, place)
    metrics, door, end = new_metrics(), Door(url), asyncio.Event()
    outbox = Outbox(lambda record: record, list[Record])
    lane = lane_on(door, outbox, metrics, reconcile_seconds=EVERY_SECONDS)
    read_in(lane, door, metrics, "big")
    relayed = metrics.events_relayed.labels("main", "big")
    corrected = metrics.jobs_reconciled.labels("main", "big")

    async def write() -> None:
        while await outbox.wait():
            for tell in outbox.take()[1]:
                tell()
            await asyncio.sleep(0.01)

    def value(counter: Any) -> float:
        return counter._value.get()

    async with asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        group.create_task(write())
        await eventually(lambda: value(relayed) >= 2 * JOBS, seconds=60, what="all events read")
        await asyncio.sleep(2 * EVERY_SECONDS)  # strangers are looked for once
        await app.config_resetstat()
        cpu = time.process_time()
        passes = 5
        await asyncio.sleep(passes * EVERY_SECONDS)
        calls, ms = await server_cost(app)
        cpu = (time.process_time() - cpu) * 1000
        sys.stdout.write(
            f"a pass over {JOBS} jobs in `{place}` that finds nothing: {calls / passes:.0f} calls, "
            f"{ms / passes:.1f} ms of Redis, {cpu / passes:.0f} ms of the bridge (its idle reading included)\n"
        )
        pipe = app.pipeline(transaction=True)
        pipe.delete(f"bull:big:{place}", *(f"bull:big:{number}" for number in range(JOBS)))
        await pipe.execute()
        await app.config_resetstat()
        cpu, begun = time.process_time(), time.perf_counter()
        await eventually(lambda: value(corrected) >= JOBS, seconds=120, what="all corrected")
        calls, ms = await server_cost(app)
        sys.stdout.write(
            f"all {JOBS} of them drained: corrected within {time.perf_counter() - begun:.1f} s, "
            f"{calls} calls, {ms:.0f} ms of Redis, {(time.process_time() - cpu) * 1000:.0f} ms of the bridge\n"
        )
        end.set()
        outbox.close()
    await door.close()
    await app.aclose()


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        data = Path(directory)
        valkey = await start_valkey(data / "valkey", Ports(data), 0)
        try:
            for place in ("wait", "delayed"):
                await measure(valkey.settings["REDIS_URL"], place)
        finally:
            await valkey.child.stop()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    asyncio.run(main())
