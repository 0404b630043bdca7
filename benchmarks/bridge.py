"""What relaying costs: events/s and CPU per event of the whole bridge on real Kafka, against reading and discarding.

The events are a finished past (four per job, half the jobs' hashes still there): the bridge runs as fast as it can.
Ratios are of one run on one machine; the servers share its cores.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.stream import Position, parse, read_commands
from tests.eventually import eventually
from tests.old_queues import fill
from tests.product import product
from tocsin.stack.cache import cache_dir
from tocsin.stack.kafka import find_kafka, start_kafka
from tocsin.stack.ports import Ports
from tocsin.stack.valkey import start_valkey

QUEUES, EVENTS = 20, 10_000
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@asynccontextmanager
async def servers(data: Path) -> AsyncGenerator[tuple[str, str]]:
    """A Valkey and a Kafka of the benchmark's own: REDIS_URL and bootstrap servers."""
    ports = Ports(data)
    program = await find_kafka(cache_dir(os.environ), os.environ, print)
    valkey = await start_valkey(data / "valkey", ports, 0)
    kafka = await start_kafka(program, data / "kafka", ports, 0)
    try:
        yield valkey.settings["REDIS_URL"], kafka.settings["KAFKA_BOOTSTRAP_SERVERS"]
    finally:
        await kafka.child.stop()
        await valkey.child.stop()


async def floor(redis_url: str) -> tuple[float, float]:
    """Read every stream exactly and discard it: (events/s, CPU microseconds per event)."""
    door = Door(redis_url)
    begun, cpu = time.perf_counter(), time.process_time()
    for number in range(1, QUEUES + 1):
        position = Position()
        while True:
            replies = await door.ask(read_commands(f"bull:old-{number}:events", position, 1000))
            _, entries = parse(replies)
            if not entries:
                break
            position = Position(last_id=entries[-1].id)
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    await door.close()
    return QUEUES * EVENTS / seconds, used / (QUEUES * EVENTS) * 1e6


async def whole(redis_url: str, kafka: str, data: Path) -> tuple[float, float]:
    """The bridge as it ships, from its first event to its last commit: (events/s, CPU microseconds per event)."""
    async with product(data, kafka=kafka, prefix="bench.", redis=redis_url, postgres="postgresql://unused") as tocsin:
        process = await tocsin.start("bridge")
        await tocsin.ready("bridge")
        first = await tocsin.metric("bridge", "bridge_events_relayed_total")
        begun, cpu = time.perf_counter(), cpu_seconds(process.pid)

        async def relayed() -> bool:
            return await tocsin.metric("bridge", "bridge_events_relayed_total") >= QUEUES * EVENTS

        await eventually(relayed, seconds=600, what="every event in Kafka")
        events = QUEUES * EVENTS - first
        return events / (time.perf_counter() - begun), (cpu_seconds(process.pid) - cpu) / events * 1e6


async def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        data = Path(place)
        async with servers(data) as (redis_url, kafka):
            await fill(redis_url, queues=QUEUES, events=EVENTS, failed=QUEUES * EVENTS // 8)
            base = await floor(redis_url)
            bridge = await whole(redis_url, kafka, data)
    print(f"{'':28}{'events/s':>10}{'CPU us/event':>14}{'ratio':>7}")
    print(f"{'read and discard':28}{base[0]:>10,.0f}{base[1]:>14.1f}{1:>7.1f}")
    print(f"{'bridge, enriched, to Kafka':28}{bridge[0]:>10,.0f}{bridge[1]:>14.1f}{bridge[1] / base[1]:>7.1f}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
