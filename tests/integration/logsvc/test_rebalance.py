"""Promise 3 with two owners: partitions move while rows are on their way. Both share one ClickHouse in this process."""

import asyncio
import gc
import importlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from logsvc.ingest.batch import JOURNAL, Span, feeds
from logsvc.ingest.ingest import Ingest
from logsvc.kafka import DeadLetters
from logsvc.metrics import Metrics
from logsvc.partitions import Place
from logsvc.schema import migrate
from logsvc.settings import LogsvcSettings
from logsvc.store import Store
from tests.eventually import READY_SECONDS, eventually
from tests.integration.logsvc.house import LANES, PARTITIONS, House
from tocsin.breakers import Breakers
from tocsin.settings import read
from tocsin.topics import partition_of


@dataclass
class HeldTable:
    """The shared store; while held, an insert goes on in the background and lands only once let go."""

    store: Store
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    held: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def __post_init__(self) -> None:
        self.gate.set()

    async def insert(self, table: str, rows: bytes, token: str) -> None:
        if self.gate.is_set():
            await self.store.insert(table, rows, token)
            return
        task = asyncio.create_task(self._late(table, rows, token))
        self.held.append(task)
        await asyncio.shield(task)

    async def _late(self, table: str, rows: bytes, token: str) -> None:
        await self.gate.wait()
        await self.store.insert(table, rows, token)

    async def cannot_read(self, table: str, rows: bytes) -> int | None:
        return await self.store.cannot_read(table, rows)

    async def offsets(
        self, table: str, origin: tuple[str, str, int], span: Span, ts_bounds: tuple[int, int]
    ) -> set[int]:
        return await self.store.offsets(table, origin, span, ts_bounds)

    async def newest_offsets(self, table: str, topic: str, partition: int) -> dict[str, int]:
        return await self.store.newest_offsets(table, topic, partition)

    async def newest_row(
        self, table: str, origin: tuple[str, str, int], first: int, last: int
    ) -> tuple[int, int] | None:
        return await self.store.newest_row(table, origin, first, last)


@dataclass
class Replica:
    """One ingest and its life."""

    ingest: Ingest
    table: HeldTable
    letters: DeadLetters
    metrics: Metrics
    stop: asyncio.Event
    task: asyncio.Task[None]

    async def leave(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, READY_SECONDS)
        await self.letters.close()


class Pair:
    """Replicas on one Kafka and one store."""

    def __init__(self, settings: LogsvcSettings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.replicas: list[Replica] = []

    def join(self) -> Replica:
        topics = self.settings.topics
        table = HeldTable(self.store)
        letters = DeadLetters(self.settings)
        fed = feeds(topics)
        metrics = Metrics(CollectorRegistry())
        ingest = Ingest(self.settings, fed, table, letters, metrics)
        stop = asyncio.Event()
        replica = Replica(ingest, table, letters, metrics, stop, asyncio.create_task(ingest.run(stop)))
        self.replicas.append(replica)
        return replica

    async def rows(self) -> tuple[int, int, int]:
        [row] = await self.store.query(
            "SELECT count() AS n, uniqExact(id) AS ids, uniqExact(kafka_partition, kafka_offset) AS places FROM journal"
        )
        return int(row["n"]), int(row["ids"]), int(row["places"])

    async def holds(self, number: int) -> bool:
        return (await self.rows())[1] >= number

    async def by_minute(self) -> int:
        [row] = await self.store.query(
            "SELECT count() AS n FROM journal WHERE intDiv(ts, 60000) > 0 AND event = 'added'",
            settings={"force_optimize_projection": 1},
        )
        return int(row["n"])


@pytest.fixture
async def pair(home: House, chdb_path: Path, chdb_database: str) -> AsyncGenerator[Pair]:
    environ = {**home.environ, "CLICKHOUSE_URL": f"chdb://{chdb_path}?database={chdb_database}"}
    settings = read(LogsvcSettings, environ | {"LOGSVC_BATCH_ROWS": "100", "LOGSVC_INSERT_SECONDS": "0.05"})
    store = Store(settings, Breakers(settings, CollectorRegistry()))
    await migrate.apply(store, settings.logsvc_retention_days)
    both = Pair(settings, store)
    yield both
    for replica in both.replicas:
        replica.table.gate.set()
        await replica.leave()
    await store.command(f"DROP DATABASE {chdb_database}")
    await store.close()


async def test_partitions_that_come_and_go_lose_and_double_nothing(home: House, pair: Pair) -> None:
    first = pair.join()
    producing = asyncio.create_task(_produce_slowly(home, 6000))
    await eventually(lambda: pair.holds(500), what="500 rows")
    second = pair.join()
    await eventually(lambda: len(second.ingest.lanes) > 0, what="the second replica's share")
    await eventually(lambda: pair.holds(2500), what="2500 rows")
    await first.leave()
    pair.replicas.remove(first)
    await eventually(lambda: len(second.ingest.lanes) == LANES, what="all partitions moved")
    await producing
    await eventually(lambda: pair.holds(6000), what="6000 rows")
    assert await pair.rows() == (6000, 6000, 6000)
    assert await pair.by_minute() == 6000


async def test_an_insert_that_lands_after_its_partition_moved_changes_nothing(home: House, pair: Pair) -> None:
    first = pair.join()
    await eventually(lambda: len(first.ingest.lanes) == LANES, what="all partitions")
    first.table.gate.clear()
    await home.produce([home.event(number) for number in range(1000)])
    await eventually(lambda: len(first.table.held) >= 3, what="inserts under way")
    first.task.cancel()  # as a process that hangs: its place in the group is given away, its inserts still land
    await asyncio.gather(first.task, return_exceptions=True)
    pair.replicas.remove(first)
    second = pair.join()
    await eventually(lambda: pair.holds(1000), what="1000 rows by the second replica")
    first.table.gate.set()
    await asyncio.gather(*first.table.held)
    assert await pair.rows() == (1000, 1000, 1000)
    assert await pair.by_minute() == 1000
    assert second.ingest.dead_letters == 0


async def test_neither_replica_calls_history_complete_while_the_other_cannot_store(home: House, pair: Pair) -> None:
    first, second = pair.join(), pair.join()

    def as_of(replica: Replica) -> int:
        return replica.ingest.completeness[JOURNAL].as_of_ms or 0

    def both_share() -> bool:
        shares = [len(replica.ingest.lanes) for replica in (first, second)]
        return min(shares) > 0 and sum(shares) == LANES

    async def first_has_stored_its_part() -> bool:
        return (await pair.rows())[1] > 100 and all(lane.lag == 0 for lane in first.ingest.lanes.values())

    await eventually(both_share, what="both with a share")
    await home.produce([home.event(number) for number in range(100)])
    produced = now_ms()
    await eventually(lambda: min(as_of(first), as_of(second)) > produced, what="both complete")
    assert (await pair.rows())[1] == 100

    second.table.gate.clear()
    await home.produce([home.event(number) for number in range(100, 200)])
    produced = now_ms()
    await eventually(lambda: len(second.table.held) > 0, what="an insert of the second one held")
    await eventually(first_has_stored_its_part, what="the part of the first one")
    later = now_ms()
    for replica in (first, second):
        asked = replica.ingest.completeness[JOURNAL]
        await eventually(lambda asked=asked: asked.asked_at_ms > later, what="a comparison")
        assert 0 < as_of(replica) < produced

    second.task.cancel()  # as a process that hangs: what it did not store comes to the first one
    await asyncio.gather(second.task, return_exceptions=True)
    pair.replicas.remove(second)
    await eventually(lambda: as_of(first) > produced, what="the first one complete")
    assert await pair.rows() == (200, 200, 200)
    second.table.gate.set()
    await asyncio.gather(*second.table.held)
    assert await pair.rows() == (200, 200, 200)


async def test_records_that_expire_before_a_running_owner_read_them_are_counted(home: House, pair: Pair) -> None:
    replica = pair.join()
    jobs = Place(home.topics.jobs, partition_of("main", "orders", PARTITIONS))
    lanes = replica.ingest.lanes

    async def is_storing() -> bool:
        return len(lanes) == LANES and all(lane.state == "storing" for lane in lanes.values())

    await eventually(is_storing, what="all partitions")
    member = replica.ingest.member
    assert member is not None
    member.pause(jobs)
    await home.produce([home.event(number, queue="orders") for number in range(10)], transaction=False)
    await home.expire(jobs.topic, jobs.partition, before=4)
    member.resume(jobs)
    await eventually(lambda: pair.holds(6), what="the records that are left")
    assert await pair.rows() == (6, 6, 6)
    expired = replica.metrics.registry.get_sample_value("logsvc_offsets_expired_total", {"topic": jobs.topic})
    assert expired == 4


async def test_a_commit_that_fails_once_nobody_waits_for_it_is_no_error_in_the_log(
    home: House, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = pair.join()
    await eventually(lambda: len(replica.ingest.lanes) == LANES, what="all partitions")
    member = replica.ingest.member
    assert member is not None
    coordinator: Any = importlib.import_module("aiokafka.consumer.group_coordinator").GroupCoordinator
    begun, may_fail = asyncio.Event(), asyncio.Event()
    requests: list[asyncio.Task[Any] | None] = []

    async def _do_commit_offsets(*_: object) -> None:
        requests.append(asyncio.current_task())
        begun.set()
        await may_fail.wait()
        raise KafkaError("the coordinator is another one")

    told: list[dict[str, Any]] = []
    with monkeypatch.context() as patched:
        patched.setattr(coordinator, "_do_commit_offsets", _do_commit_offsets)
        committing = asyncio.create_task(member.commit(Place(home.topics.jobs, 0), 0, ""))
        await begun.wait()
        committing.cancel()  # as a lane that is cut
        await asyncio.gather(committing, return_exceptions=True)
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        may_fail.set()
        await asyncio.wait([task for task in requests if task])
        requests.clear()
        gc.collect()
    asyncio.get_running_loop().set_exception_handler(None)
    assert told == []


def now_ms() -> int:
    return int(time.time() * 1000)


async def _produce_slowly(home: House, number: int) -> None:
    producer = await home.producer("slow")
    for first in range(0, number, 250):
        await producer.begin_transaction()
        await asyncio.gather(*[await home.send(producer, home.event(n)) for n in range(first, first + 250)])
        await producer.commit_transaction()
        await asyncio.sleep(0.1)  # so that rebalances fall between batches
