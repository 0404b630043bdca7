"""logsvc as a test runs it: a real process on a real Kafka, with a chDB directory of its own."""

import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.clients import aiokafka, aiokafka_admin
from tests.eventually import READY_SECONDS, eventually
from tests.output import written
from tests.ports import free_port
from tocsin.events import (
    DeadLetter,
    JobEvent,
    LogLine,
    QueueSnapshot,
    SchedulerSnapshot,
    SourceSnapshot,
    decode,
    encode,
)
from tocsin.topics import Topics, partition_of, queue_key

PARTITIONS = 4
LANES = 4 * PARTITIONS + 1
"""Every partition of what is ingested: sources have one."""

Sent = JobEvent | LogLine | QueueSnapshot | SchedulerSnapshot | SourceSnapshot


@dataclass
class House:
    """One logsvc and what it needs. `environ` is the process's."""

    data: Path
    environ: dict[str, str]
    port: int
    process: asyncio.subprocess.Process | None = None
    producers: list[Any] = field(default_factory=list[Any])

    @property
    def kafka(self) -> str:
        return self.environ["KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def topics(self) -> Topics:
        return Topics(self.environ["KAFKA_TOPIC_PREFIX"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, *wrapper: str) -> asyncio.subprocess.Process:
        """Start logsvc, or what stands in for it on Python's command line (`-m tests.dying logsvc …`)."""
        with (self.data / "logsvc.log").open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *(wrapper or ("-m", "logsvc")), env=self.environ, stdout=output, stderr=output
            )
        return self.process

    async def ready(self) -> None:
        await eventually(self.is_ready, what="logsvc ready")

    async def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, f"logsvc ended: {self.log()[-3000:]}"
        try:
            return (await self.get("/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM and the whole drain; returns the exit status."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        assert process is not None
        if process.returncode is None:
            process.send_signal(number)
        return await asyncio.wait_for(process.wait(), READY_SECONDS)

    def resident_bytes(self) -> int:
        """Memory of the process."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])

    def log(self) -> str:
        return written(self.data / "logsvc.log")

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=READY_SECONDS) as client:
            return await client.get(path, params=parameters or None)

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=READY_SECONDS, headers=headers) as client:
            return await client.post(path, json=body)

    async def json(self, path: str, **parameters: Any) -> Any:
        answer = await self.get(path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def create_topics(self) -> None:
        """Make the topics before anybody is there, as the bridge may have done."""
        admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            new = [
                aiokafka_admin.NewTopic(spec.name, spec.partitions or PARTITIONS, 1, topic_configs=dict(spec.configs))
                for spec in self.topics.specs()
            ]
            await admin.create_topics(new)
        finally:
            await admin.close()

    async def delete_topics(self) -> None:
        """Delete all topics again."""
        admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_topics([spec.name for spec in self.topics.specs()])
        finally:
            await admin.close()

    async def remake_topic(self, topic: str) -> None:
        """Delete a topic and make it again, empty."""
        admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_topics([topic])
            new = aiokafka_admin.NewTopic(topic, PARTITIONS, 1)

            async def is_made() -> bool:
                answer = await admin.create_topics([new])
                return answer.topic_errors[0][1] == 0

            await eventually(is_made, what=f"{topic} made again")
        finally:
            await admin.close()

    async def expire(self, topic: str, partition: int, *, before: int) -> None:
        """Delete a partition's records before an offset, as retention does."""
        admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            place = aiokafka.TopicPartition(topic, partition)
            await admin.delete_records({place: aiokafka_admin.RecordsToDelete(before_offset=before)})
        finally:
            await admin.close()

    async def forget_group(self) -> None:
        """Delete the ingest group with its positions, as Kafka does after a week without it."""
        admin = importlib.import_module("confluent_kafka.admin").AdminClient({"bootstrap.servers": self.kafka})

        def delete() -> None:
            for future in admin.delete_consumer_groups([f"{self.topics.prefix}logsvc"]).values():
                future.result(timeout=READY_SECONDS)

        await asyncio.to_thread(delete)

    async def producer(self, transactional_id: str | None = None) -> Any:
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=self.kafka,
            acks="all",
            **({"transactional_id": f"{self.topics.prefix}{transactional_id}"} if transactional_id else {}),
        )
        await producer.start()
        self.producers.append(producer)
        return producer

    async def produce(self, records: Iterable[Sent], *, transaction: bool = True) -> None:
        """Write records to their topics, in one committed transaction."""
        producer = await self.producer("test" if transaction else None)
        try:
            if transaction:
                await producer.begin_transaction()
            await asyncio.gather(*[await self.send(producer, one) for one in records])
            if transaction:
                await producer.commit_transaction()
        finally:
            await producer.stop()
            self.producers.remove(producer)

    async def send(self, producer: Any, one: Sent) -> Any:
        """Hand one record to a producer; returns the future of its acknowledgement."""
        topics = self.topics
        topic = {
            JobEvent: topics.jobs,
            LogLine: topics.logs,
            QueueSnapshot: topics.queues,
            SchedulerSnapshot: topics.schedulers,
            SourceSnapshot: topics.sources,
        }[type(one)]
        if isinstance(one, SourceSnapshot):
            return await producer.send(topic, encode(one), key=one.source.encode())
        key = queue_key(one.source, one.queue).encode()
        if isinstance(one, SchedulerSnapshot):
            key += b":" + one.scheduler.encode()
        partition = partition_of(one.source, one.queue, PARTITIONS)
        return await producer.send(topic, encode(one), key=key, partition=partition)

    async def query(self, *statements: str, settings: Mapping[str, Any] | None = None) -> list[list[list[Any]]]:
        """Run SELECTs on the tables, each answered as rows. logsvc must be stopped: one process owns the directory."""
        assert self.process is None
        asking = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            QUERY,
            self.environ["CLICKHOUSE_URL"],
            json.dumps(dict(settings or {})),
            *statements,
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await asyncio.wait_for(asking.communicate(), READY_SECONDS)
        assert asking.returncode == 0
        return json.loads(output)

    async def all_stored(self) -> bool:
        """Whether everything that is in Kafka is stored and said to be finished, and as_of is known."""
        system = await self.json("/api/v1/system")
        lanes = system["pipeline"]
        return (
            len(lanes) == LANES
            and system["as_of"] is not None
            and all(lane["state"] == "storing" and lane["lag"] == 0 and lane["buffered_bytes"] == 0 for lane in lanes)
        )

    async def stored(self, rows: int) -> None:
        """Wait until the API tells so many rows or more, and nothing is on its way."""

        async def enough() -> bool:
            return await self.all_stored() and await self.rows_told() >= rows

        await eventually(enough, what=f"{rows} rows stored")

    async def rows_told(self) -> int:
        """How many rows `/api/v1/logs` tells, page by page."""
        told, cursor = 0, ""
        while True:
            page = await self.json("/api/v1/logs", limit=1000, cursor=cursor)
            told += len(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return told

    async def dead_letters(self) -> list[DeadLetter]:
        """All dead letters written so far."""
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=self.kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            place = aiokafka.TopicPartition(self.topics.deadletter, 0)
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            found: list[DeadLetter] = []
            while await consumer.position(place) < end:
                records = (await consumer.getmany(timeout_ms=200)).get(place, [])
                found += [decode(DeadLetter, record.value) for record in records]
            return found
        finally:
            await consumer.stop()

    def event(self, number: int, **fields: Any) -> JobEvent:
        """An event of job `number`; queues q0 to q4 in turn unless said otherwise."""
        known: dict[str, Any] = {
            "v": 1,
            "ts": 1_795_000_000_000 + number,
            "env": "prod",
            "source": "main",
            "queue": f"q{number % 5}",
            "epoch": 0,
            "stream_id": f"{number}-0",
            "event": "added",
            "state": "waiting",
            "job_id": str(number),
        }
        known |= fields
        known.setdefault("id", f"{known['source']}:{known['queue']}:0:{known['stream_id']}")
        return msgspec.convert(known, JobEvent)


QUERY = """
import json, sys
import clickhouse_connect
from logsvc.store import DATABASE
client = clickhouse_connect.get_client(dsn=sys.argv[1])
client.database = DATABASE
settings = json.loads(sys.argv[2])
print(json.dumps([client.query(text, settings=settings).result_rows for text in sys.argv[3:]], default=str))
"""


@asynccontextmanager
async def house(data: Path, kafka: str, prefix: str, **settings: str) -> AsyncGenerator[House]:
    """A logsvc that is not started yet, on topics that exist. Everything ends with the block."""
    port = free_port()
    (data / "tmp").mkdir(parents=True)
    environ = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
        "PYTHONPATH": os.getcwd(),
        "TMPDIR": str(data / "tmp"),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": prefix,
        "KAFKA_PARTITIONS": str(PARTITIONS),
        "CLICKHOUSE_URL": f"chdb://{data / 'clickhouse'}",
        "LOGSVC_PORT": str(port),
        "LOGSVC_INSERT_SECONDS": "0.2",
        "LOGSVC_SESSION_SECONDS": "4",  # a test that kills waits for so long each time
        # Tests write at fixed times, which must not expire one day.
        "LOGSVC_RETENTION_DAYS": "3650",
        "LOG_FORMAT": "json",
        "LOG_TO_KAFKA": "false",
        **settings,
    }
    home = House(data, environ, port)
    await home.create_topics()
    try:
        yield home
    finally:
        for producer in list(home.producers):
            await producer.stop()
        if home.process is not None:
            await home.kill()
