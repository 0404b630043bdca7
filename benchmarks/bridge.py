"""What relaying costs: events/s and CPU per event on real Kafka, of five ways to read the same BullMQ streams.

floor: read each stream exactly and discard it. parts: read, build, encode, send in batches, and nothing else: no
cursor, no transaction, nothing remembered of a job, nothing hidden; the goal for bare is a sum of these. naive:
redis-py, json and send(), without cursor, order or enrichment. bare: the bridge on events that need no hash
(`progress`). enriched: the bridge on four events a job, every hash there; every eighth job failed. The events are a
finished past, so each runs as fast as it can. Median of some rounds; a ratio is one of a run on one machine, whose
cores the servers share. Compare those, not the rates.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from bridge.__main__ import set_collector
from bridge.kafka.batches import BATCH_BYTES
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.wire import parse, read_commands
from tests.clients import redis
from tests.product import product
from tocsin.events import VERSION, JobEvent, encode_all
from tocsin.stack.cache import cache_dir
from tocsin.stack.kafka import find_kafka, start_kafka
from tocsin.stack.ports import Ports
from tocsin.stack.valkey import start_valkey

QUEUES, EVENTS, ROUNDS = 20, 30_000, 3
ASK_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")

Figures = tuple[float, float]
"""Events/s, CPU microseconds per event."""

FILL = """
local name, events, is_bare = KEYS[1], tonumber(ARGV[1]), ARGV[2] == '1'
redis.call('HSET', name .. ':meta', 'opts.maxLenEvents', events, 'version', 'bullmq:6.7.0')
for at = 0, events - 1 do
  local job, step = math.floor(at / 4), at % 4
  if is_bare then
    redis.call('XADD', name .. ':events', '*', 'event', 'progress', 'jobId', job, 'data', '{"percent":' .. at .. '}')
  elseif step == 0 then
    redis.call('XADD', name .. ':events', '*', 'event', 'added', 'jobId', job, 'name', 'send mail')
    redis.call('HSET', name .. ':' .. job, 'name', 'send mail', 'timestamp', 1700000000000, 'ats', 1, 'atm', 1,
      'opts', '{"attempts":3,"backoff":{"type":"fixed","delay":1000}}', 'pb', 'worker-1', 'delay', 0, 'priority', 0,
      'data', '{"to":"ada@example.com","subject":"Invoice ' .. job .. '","amount":' .. job .. '}',
      'processedOn', 1700000000100, 'finishedOn', 1700000000200)
  elseif step == 1 then
    redis.call('XADD', name .. ':events', '*', 'event', 'waiting', 'jobId', job)
  elseif step == 2 then
    redis.call('XADD', name .. ':events', '*', 'event', 'active', 'jobId', job, 'prev', 'waiting')
  elseif job % 8 == 0 then
    redis.call('HSET', name .. ':' .. job, 'failedReason', 'mailbox ' .. job .. ' is full',
      'stacktrace', cjson.encode({'Error: mailbox ' .. job .. ' is full\\n    at send (/app/mail.js:1:2)'}))
    redis.call('XADD', name .. ':events', '*', 'event', 'failed', 'jobId', job,
      'failedReason', 'mailbox ' .. job .. ' is full', 'prev', 'active')
  else
    redis.call('HSET', name .. ':' .. job, 'returnvalue', '{"id":' .. job .. '}')
    redis.call('XADD', name .. ':events', '*', 'event', 'completed', 'jobId', job,
      'returnvalue', '{"id":' .. job .. '}', 'prev', 'active')
  end
end
"""


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


async def fill(redis_url: str, *, is_bare: bool) -> None:
    """Replace all queues by new ones."""
    client = redis.from_url(redis_url)
    await client.flushall()
    for number in range(QUEUES):
        await client.eval(FILL, 1, f"bull:bench-{number}", EVENTS, int(is_bare))
    await client.aclose()


async def floor(redis_url: str) -> Figures:
    """Read every stream exactly and discard it."""
    door = Door(redis_url)
    begun, cpu = time.perf_counter(), time.process_time()
    for number in range(QUEUES):
        position = Position()
        while True:
            replies = await door.ask(read_commands(f"bull:bench-{number}:events", position, 1000), as_text=True)
            _, entries = parse(position, replies)
            if not entries:
                break
            position = Position(last_id=entries[-1].id)
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    await door.close()
    return QUEUES * EVENTS / seconds, used / (QUEUES * EVENTS) * 1e6


async def parts(redis_url: str, kafka: str, topic: str) -> Figures:
    """The least that brings events of `progress` from Redis to Kafka. topic: one that exists."""
    door = Door(redis_url)
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
        compression_type="zstd",
    )
    await producer.start()
    sent: list[asyncio.Future[Any]] = []
    begun, cpu = time.perf_counter(), time.process_time()
    for number in range(QUEUES):
        queue, last_id, batch = f"bench-{number}", "0", producer.create_batch()
        key = f"main:{queue}".encode()
        command = ("XREAD", "COUNT", 1000, "STREAMS", f"bull:{queue}:events")
        while (read := (await door.ask([(*command, last_id)], as_text=True))[0]) is not None:
            entries: list[tuple[str, list[str]]] = read[0][1]
            events = [_event(queue, entry_id, fields) for entry_id, fields in entries]
            for event, value in zip(events, encode_all(events), strict=True):
                if batch.append(key=key, value=value, timestamp=event.ts) is None:
                    sent.append(await producer.send_batch(batch, topic, partition=number % 4))
                    batch = producer.create_batch()
                    batch.append(key=key, value=value, timestamp=event.ts)
            last_id = entries[-1][0]
        sent.append(await producer.send_batch(batch, topic, partition=number % 4))
    await asyncio.gather(*sent)
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    await producer.stop()
    await door.close()
    return QUEUES * EVENTS / seconds, used / (QUEUES * EVENTS) * 1e6


def _event(queue: str, entry_id: str, fields: list[str]) -> JobEvent:
    _, event, _, job_id, _, progress = fields
    return JobEvent(
        v=VERSION,
        id=f"main:{queue}:1:{entry_id}",
        ts=int(entry_id.partition("-")[0]),
        env="prod",
        source="main",
        queue=queue,
        epoch=1,
        stream_id=entry_id,
        event=event,
        job_id=job_id,
        progress=progress,
    )


async def naive(redis_url: str, kafka: str, topic: str) -> Figures:
    """The loop anybody would write first. topic: one that exists."""
    client = redis.from_url(redis_url, decode_responses=True)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    ids = {f"bull:bench-{number}:events": "0" for number in range(QUEUES)}
    begun, cpu = time.perf_counter(), time.process_time()
    while read := await client.xread(ids, count=100):
        for key, entries in read:
            for entry_id, fields in entries:
                value = json.dumps({"id": entry_id, "queue": key, **fields}).encode()
                await producer.send(topic, value, key=key.encode())
                ids[key] = entry_id
    await producer.flush()
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    await producer.stop()
    await client.aclose()
    return QUEUES * EVENTS / seconds, used / (QUEUES * EVENTS) * 1e6


async def bridge(redis_url: str, kafka: str, data: Path, prefix: str) -> Figures:
    """The bridge as it ships, while it has more to relay: from the first time it is asked how far it is to the last."""
    async with product(data, kafka=kafka, prefix=prefix, redis=redis_url, postgres="postgresql://unused") as tocsin:
        process = await tocsin.start("bridge")
        await tocsin.ready("bridge")
        # Asked seldom, since the answers are on the bridge's bill.
        looks: list[tuple[float, float, float]] = []
        async with asyncio.timeout(600):
            while (relayed := await tocsin.metric("bridge", "bridge_events_relayed_total")) < QUEUES * EVENTS:
                looks.append((relayed, time.perf_counter(), cpu_seconds(process.pid)))
                await asyncio.sleep(ASK_SECONDS)
    assert len(looks) > 1, "it was done before it could be measured"
    events, seconds, used = (last - first for first, last in zip(looks[0], looks[-1], strict=True))
    return events / seconds, used / events * 1e6


async def rounds(measure: Callable[[int], Awaitable[Figures]]) -> Figures:
    """The medians of some rounds."""
    found = [await measure(number) for number in range(ROUNDS)]
    return statistics.median(rate for rate, _ in found), statistics.median(cpu for _, cpu in found)


async def main() -> None:
    set_collector()
    rows: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as place:
        data = Path(place)
        async with servers(data) as (redis_url, kafka):
            await fill(redis_url, is_bare=True)
            rows["bridge, bare"] = await rounds(lambda n: bridge(redis_url, kafka, data / f"b{n}", f"bare{n}."))
            rows["the goal's parts alone, bare"] = await rounds(lambda n: parts(redis_url, kafka, f"bare{n}.jobs"))
            await fill(redis_url, is_bare=False)
            rows["bridge, enriched"] = await rounds(lambda n: bridge(redis_url, kafka, data / f"e{n}", f"rich{n}."))
            rows["naive loop, not enriched"] = await rounds(lambda n: naive(redis_url, kafka, f"rich{n}.jobs"))
            base = await rounds(lambda _: floor(redis_url))
    print(f"{'':30}{'events/s':>10}{'CPU us/event':>14}{'ratio':>7}")
    for name, (rate, cpu) in {"floor: read and discard": base, **rows}.items():
        print(f"{name:30}{rate:>10,.0f}{cpu:>14.1f}{cpu / base[1]:>7.1f}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(asyncio.run(main()))
