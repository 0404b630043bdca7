"""What storing costs: rows/s from Kafka into ClickHouse by logsvc's own ingest, and CPU per row, by search index.

Real Kafka, the embedded ClickHouse (chDB), the whole schema; the journal without a search index, with the bloom filter,
and with the inverted index. The records are a finished past, three events to two log lines, so each runs as fast as it
can. CPU is of this process from joining the group to the last row, engine and merges included; `loop` is the thread in
which the event loop turns. Apart: what aiokafka takes to read the same records and drop them, and what our own Python
takes for a row: a lane that is fed from memory and stores into nothing.
"""

import argparse
import asyncio
import importlib
import json
import logging
import os
import random
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from logsvc.ingest.batch import Feed, Span, feeds
from logsvc.ingest.ingest import Ingest
from logsvc.ingest.lane import Lane, Limits
from logsvc.ingest.pace import Pace
from logsvc.kafka import DeadLetters
from logsvc.metrics import Metrics
from logsvc.partitions import Bounds, Committed, Place
from logsvc.schema import migrate
from logsvc.schema.words import SearchIndex
from logsvc.settings import LogsvcSettings
from logsvc.store import Store
from tests.clients import aiokafka, aiokafka_admin
from tocsin.breakers import Breakers
from tocsin.events import JobEvent, Level, LogLine, State, encode
from tocsin.settings import read
from tocsin.stack.cache import cache_dir
from tocsin.stack.kafka import find_kafka, start_kafka
from tocsin.stack.ports import Ports
from tocsin.topics import Topics, partition_of

ROWS, ROUNDS, PARTITIONS, QUEUES = 300_000, 3, 4, 60
T0 = 1_795_000_000_000
GIVEN = "TOCSIN_TEST_KAFKA_BOOTSTRAP_SERVERS"

Figures = dict[str, float]


def words(count: int) -> list[str]:
    """A made-up language, the same in every run."""
    dice = random.Random(1)
    return ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(3, 9))) for _ in range(count)]


def records(rows: int) -> Iterable[JobEvent | LogLine]:
    """Events and log lines as a busy app makes them: data, results, errors with stacks, words and numbers."""
    dice, known = random.Random(2), words(3000)
    for n in range(rows):
        queue, ts, job = f"queue-{dice.randrange(QUEUES)}", T0 + n * 5, str(dice.randrange(10**7))
        same: dict[str, Any] = {"v": 1, "ts": ts, "env": "prod", "source": "main", "queue": queue, "job_id": job}
        same |= {"job_name": f"job-{dice.randrange(3)}", "attempt": 1, "added_at": ts - 1000, "epoch": 0}
        if n % 5 > 2:
            text = f"{' '.join(dice.choices(known, k=9))} id={dice.randrange(10**8)}"
            yield LogLine(**same, id=f"main:{queue}:log:{job}:{n}", message=text, line=n % 20)
            continue
        same |= {"id": f"main:{queue}:0:{ts}-0", "stream_id": f"{ts}-0", "max_attempts": 3, "worker": f"w{n % 8}"}
        match dice.choices(["added", "active", "completed", "failed"], weights=[10, 10, 9, 1])[0]:
            case "added":
                data = {"user": dice.randrange(10**6), "email": f"{dice.choice(known)}@example.com"}
                data |= {"items": dice.choices(known, k=6), "order": f"{dice.getrandbits(64):016x}"}
                yield JobEvent(**same, event="added", state=State.WAITING, data=json.dumps(data))
            case "active":
                yield JobEvent(**same, event="active", state=State.ACTIVE, wait_ms=dice.randrange(5000), started_at=ts)
            case "completed":
                took = int(dice.lognormvariate(5, 1))
                yield JobEvent(**same, event="completed", state=State.COMPLETED, run_ms=took, result='{"ok":true}')
            case _:
                yield JobEvent(
                    **same,
                    event="failed",
                    level=Level.ERROR,
                    state=State.FAILED,
                    run_ms=3000,
                    error=f"{dice.choice(known)} timed out after {dice.randrange(9)} s",
                    error_type="TimeoutError",
                    fingerprint=f"{dice.randrange(100):016x}",
                    stack=["at send (/app/mail.js:1:2)"] * 6,
                )


async def fill(kafka: str, topics: Topics) -> None:
    """Make the topics and write all records."""
    admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    new = [aiokafka_admin.NewTopic(spec.name, spec.partitions or PARTITIONS, 1) for spec in topics.specs()]
    await admin.create_topics(new)
    await admin.close()
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=kafka, compression_type="zstd", linger_ms=20)
    await producer.start()
    for one in records(ROWS):
        topic = topics.jobs if isinstance(one, JobEvent) else topics.logs
        await producer.send(topic, encode(one), partition=partition_of(one.source, one.queue, PARTITIONS))
    await producer.stop()


def settings_for(kafka: str, prefix: str, data: Path) -> LogsvcSettings:
    return read(
        LogsvcSettings,
        {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_TOPIC_PREFIX": prefix,
            "CLICKHOUSE_URL": f"chdb://{data}?database=b{uuid.uuid4().hex[:8]}",
            "LOGSVC_RETENTION_DAYS": "3650",
        },
    )


async def forget(kafka: str, group: str) -> None:
    """Delete a group and its positions, so that the next one begins at the start."""
    admin = importlib.import_module("confluent_kafka.admin").AdminClient({"bootstrap.servers": kafka})
    futures = await asyncio.to_thread(admin.delete_consumer_groups, [group])
    for future in futures.values():
        await asyncio.to_thread(future.result, 30)


async def reading(kafka: str, topics: Topics) -> float:
    """CPU of the loop's thread, us/record, to read all records and drop them."""
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed")
    await consumer.start()
    places = [aiokafka.TopicPartition(name, n) for name in (topics.jobs, topics.logs) for n in range(PARTITIONS)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    seen, cpu = 0, time.thread_time()
    async with asyncio.timeout(120):
        while seen < ROWS:
            got = await consumer.getmany(timeout_ms=200, max_records=2000)
            seen += sum(map(len, got.values()))
    cpu = time.thread_time() - cpu
    await consumer.stop()
    return cpu / ROWS * 1e6


class Nothing:
    """A Kafka and a ClickHouse that take everything and hold nothing."""

    async def committed(self, place: Place) -> Committed:
        return Committed(None, "")

    async def bounds(self, place: Place) -> Bounds:
        return Bounds(0, 0)

    async def commit(self, place: Place, offset: int, metadata: str) -> None: ...
    async def position(self, place: Place) -> int | None: ...
    async def peek(self, place: Place, offset: int) -> None: ...
    def seek(self, place: Place, offset: int) -> None: ...
    def pause(self, place: Place) -> None: ...
    def resume(self, place: Place) -> None: ...
    async def write(self, letters: object) -> None: ...
    async def insert(self, table: str, rows: bytes, token: str) -> None: ...
    async def cannot_read(self, table: str, rows: bytes) -> int | None: ...
    async def newest_row(self, table: str, origin: object, first: int, last: int) -> tuple[int, int] | None: ...

    async def offsets(self, table: str, origin: object, span: Span, ts_bounds: object) -> set[int]:
        return set()

    async def newest_offsets(self, table: str, topic: str, partition: int) -> dict[str, int]:
        return {}


@dataclass(slots=True)
class Held:
    """A record in memory."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes


async def ours() -> float:
    """CPU of our own Python, us/row, from records as aiokafka hands them over to blocks as ClickHouse is given them."""
    every, cpu = list(records(ROWS // 3)), 0.0
    for struct, kind in ((JobEvent, "event"), (LogLine, "log")):
        mine = [one for one in every if type(one) is struct]
        held = [Held(n, T0, b"main:queue", encode(one)) for n, one in enumerate(mine)]
        nothing, limits = Nothing(), Limits(50_000, 64 * 1024 * 1024, 3650)
        feed, metrics = Feed("jobs", "journal", struct, kind), Metrics(CollectorRegistry())
        lane = Lane(Place("jobs", 0), feed, "c", nothing, nothing, nothing, limits, Pace(0.25), metrics)
        running = asyncio.create_task(lane.run())
        while lane.next_offset is None:  # noqa: ASYNC110  # it turns the loop itself
            await asyncio.sleep(0)
        began = time.thread_time()
        for first in range(0, len(held), 2000):
            lane.arrived(held[first : first + 2000])
            await asyncio.sleep(0)
        lane.stop(flush=True)
        await running
        cpu += time.thread_time() - began
        assert lane.next_offset == len(held)
    return cpu / len(every) * 1e6


async def storing(kafka: str, prefix: str, data: Path, index: SearchIndex) -> Figures:
    """Rows/s from the first batch stored to the last, and CPU a row of all of it."""
    settings = settings_for(kafka, prefix, data)
    breakers = Breakers(settings, CollectorRegistry())
    store = Store(settings, breakers)
    await migrate.apply(store, settings.logsvc_retention_days, index)
    assert store.search_index is index
    metrics = Metrics(CollectorRegistry())
    letters = DeadLetters(settings)
    ingest = Ingest(settings, feeds(settings.topics), store, letters, metrics)
    stop = asyncio.Event()

    def stored() -> int:
        names = (settings.topics.jobs, settings.topics.logs)
        found = [metrics.registry.get_sample_value("logsvc_rows_stored_total", {"topic": name}) for name in names]
        return int(sum(value or 0 for value in found))

    async def until(rows: int) -> None:
        async with asyncio.timeout(300):
            while stored() < rows:  # noqa: ASYNC110  # the ingest counts them; asked seldom, since it is on the bill
                await asyncio.sleep(0.25)

    cpu, loop = time.process_time(), time.thread_time()
    running = asyncio.create_task(ingest.run(stop))
    await until(1)
    first, began = stored(), time.perf_counter()
    await until(ROWS)
    seconds = time.perf_counter() - began
    cpu, loop = time.process_time() - cpu, time.thread_time() - loop
    stop.set()
    await running
    [size] = await store.query(
        "SELECT count() AS n, sum(bytes_on_disk) / sum(rows) AS bytes FROM system.parts"
        " WHERE active AND table = 'journal' AND database = currentDatabase()"
    )
    [counted] = await store.query("SELECT count() AS n FROM journal")
    assert counted["n"] == ROWS
    await store.command(f"DROP DATABASE {store.database}")
    await letters.close()
    await store.close()
    await forget(kafka, settings.consumer_group)
    figures = {"rows_s": (ROWS - first) / seconds, "cpu": cpu / ROWS * 1e6, "loop": loop / ROWS * 1e6}
    return {**figures, "bytes": float(size["bytes"])}


def median(found: list[Figures], name: str) -> float:
    return statistics.median(one[name] for one in found)


async def run() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    data = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
    kafka, child = os.environ.get(GIVEN, ""), None
    if not kafka:
        program = await find_kafka(cache_dir(os.environ), os.environ, print)
        server = await start_kafka(program, data / "kafka", Ports(data), 0)
        kafka, child = server.settings["KAFKA_BOOTSTRAP_SERVERS"], server.child
    prefix = f"bench{uuid.uuid4().hex[:8]}."
    await fill(kafka, Topics(prefix))
    floor = statistics.median([await reading(kafka, Topics(prefix)) for _ in range(ROUNDS)])
    own = statistics.median([await ours() for _ in range(ROUNDS)])
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {ROWS:,} rows, medians of {ROUNDS}")
    print(f"aiokafka alone {floor:.1f} us/row, our own Python {own:.1f} us/row\n")
    print("| search index | rows/s | CPU us/row | of it the loop's | bytes/row |\n|---|---|---|---|---|", flush=True)
    for index in (SearchIndex.NONE, SearchIndex.TOKENBF, SearchIndex.TEXT):
        found = [await storing(kafka, prefix, data / "clickhouse", index) for _ in range(ROUNDS)]
        rate, cpu, loop = (median(found, name) for name in ("rows_s", "cpu", "loop"))
        print(f"| {index} | {rate:,.0f} | {cpu:.1f} | {loop:.1f} | {median(found, 'bytes'):.0f} |", flush=True)
    if child is not None:
        await child.stop()
    shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    asyncio.run(run())
