"""Promise 3: every record is one row, in the tables and in the aggregates, whatever dies and when."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.logsvc.house import PARTITIONS, House
from tocsin.events import QueueSnapshot, SchedulerSnapshot, SourceSnapshot
from tocsin.topics import partition_of

COUNTS = "SELECT count(), uniqExact(id), uniqExact(kafka_topic, kafka_partition, kafka_offset) FROM journal"
PER_QUEUE = "SELECT queue, event, count() FROM journal WHERE kind = 'event' GROUP BY queue, event ORDER BY queue, event"
BY_MINUTE = (
    "SELECT intDiv(ts, 60000) AS minute, queue, event, count() FROM journal WHERE intDiv(ts, 60000) > 0"
    " GROUP BY intDiv(ts, 60000), queue, event ORDER BY minute, queue, event"
)


async def test_what_is_committed_is_stored_once_and_what_is_aborted_never(home: House) -> None:
    await home.start()
    await home.ready()
    producer = await home.producer("abort")
    for batch in range(6):
        await producer.begin_transaction()
        for number in range(batch * 100, batch * 100 + 100):
            await home.send(producer, home.event(number))
        await producer.flush()
        await (producer.abort_transaction() if batch % 2 else producer.commit_transaction())
    await home.stored(300)
    assert await home.stop() == 0
    counts, per_queue = await home.query(COUNTS, PER_QUEUE)
    assert counts == [[300, 300, 300]]
    assert per_queue == [[f"q{n}", "added", 60] for n in range(5)]


async def test_aggregates_come_from_the_projection_and_are_exact(home: House) -> None:
    await home.start()
    await home.ready()
    day = 24 * 3600 * 1000
    events = [home.event(n, ts=1_795_000_000_000 - n % 7 * day + n * 1000, event="completed") for n in range(2000)]
    await home.produce(events)
    await home.stored(2000)
    await home.stop()
    [forced] = await home.query(BY_MINUTE, settings={"force_optimize_projection": 1})
    [plain] = await home.query(BY_MINUTE, settings={"optimize_use_projections": 0})
    assert forced == plain
    assert sum(row[-1] for row in forced) == 2000


async def test_snapshots_are_kept_as_history_and_told_as_they_are_now(home: House) -> None:
    await home.start()
    await home.ready()
    same: dict[str, Any] = {"v": 1, "env": "prod", "source": "main", "queue": "orders"}
    for number in range(3):
        await home.produce(
            [
                QueueSnapshot(**same, ts=1_795_000_000_000 + number, waiting=number, workers=None if number else 2),
                SchedulerSnapshot(**same, ts=1_795_000_000_000 + number, scheduler="nightly", every=60_000),
                SourceSnapshot(v=1, env="prod", source="main", ts=1_795_000_000_000 + number, evicted_keys=number),
            ]
        )

    async def is_told() -> bool:
        items = (await home.json("/api/v1/queues"))["items"]
        return bool(items) and items[0]["waiting"] == 2

    await eventually(is_told, what="the newest snapshot told")
    producer = await home.producer()
    partition = partition_of("main", "orders", PARTITIONS)
    await producer.send_and_wait(home.topics.queues, None, key=b"main:orders", partition=partition)

    async def is_gone() -> bool:
        return (await home.json("/api/v1/queues"))["items"] == []

    async def is_stored() -> bool:
        """Each of the three transactions left a record and a marker in its partition."""
        lanes = (await home.json("/api/v1/system"))["pipeline"]
        topics = (home.topics.queues, home.topics.schedulers, home.topics.sources)
        stored = {topic: [lane["next_offset"] or 0 for lane in lanes if lane["topic"] == topic] for topic in topics}
        return all(max(offsets, default=0) >= 5 for offsets in stored.values())

    await eventually(is_gone, what="the queue gone")
    await eventually(is_stored, what="the snapshots stored")
    assert await home.stop() == 0
    queues, schedulers, sources = await home.query(
        "SELECT ts, waiting, workers FROM queue_snapshots ORDER BY ts",
        "SELECT scheduler, every, next_run, count() FROM scheduler_snapshots GROUP BY ALL",
        "SELECT is_reachable, evicted_keys, memory_bytes FROM source_snapshots ORDER BY ts",
    )
    assert queues == [[1_795_000_000_000, 0, 2], [1_795_000_000_001, 1, None], [1_795_000_000_002, 2, None]]
    assert schedulers == [["nightly", 60_000, None, 3]]
    assert sources == [[True, 0, None], [True, 1, None], [True, 2, None]]
    assert await home.dead_letters() == []


POINTS = [
    ("logsvc.store:Store.insert", "before"),
    ("logsvc.store:Store.insert", "after"),
    ("logsvc.kafka:Member.commit", "before"),
    ("logsvc.kafka:Member.commit", "after"),
]


@pytest.mark.parametrize(("point", "when"), POINTS)
async def test_kill_9_at_a_named_point_neither_loses_nor_doubles(
    home: House, tmp_path: Path, point: str, when: str
) -> None:
    day = 24 * 3600 * 1000
    events = [home.event(n, ts=1_795_000_000_000 - n % 3 * day + n) for n in range(5000)]
    await home.produce(events[:2500])
    home.environ["LOGSVC_BATCH_ROWS"] = "200"
    for nth in (2, 7):
        marker = tmp_path / f"died-{nth}"
        options = ["--at", point, "--when", when, "--nth", str(nth), "--marker", str(marker)]
        dying = await home.start("-m", "tests.dying", "logsvc", *options)
        await eventually(lambda dying=dying: dying.returncode is not None, what="death")
        assert marker.exists()
        home.process = None
    await home.start()
    await home.ready()
    await home.produce(events[2500:])
    await home.stored(5000)
    assert await home.stop() == 0
    counts, per_queue = await home.query(COUNTS, PER_QUEUE)
    assert counts == [[5000, 5000, 5000]]
    assert per_queue == [[f"q{n}", "added", 1000] for n in range(5)]
    [by_minute] = await home.query(BY_MINUTE, settings={"force_optimize_projection": 1})
    assert sum(row[-1] for row in by_minute) == 5000


async def test_bad_records_are_buried_and_stop_nobody(home: House) -> None:
    good = home.event(1, queue="q0")
    producer = await home.producer()
    topic, partition = home.topics.jobs, 0
    bad: list[bytes | None] = [
        b"not json",
        b"\xff\xfe\x00",
        b"{}",
        None,
        b'{"v":7,"id":"x","ts":1795000000000,"env":"","source":"","queue":"","epoch":0,"stream_id":"","event":""}',
        # More than its column holds.
        b'{"v":1,"id":"x","ts":1795000000000,"env":"e","source":"s","queue":"q","epoch":0,"stream_id":"1-0",'
        b'"event":"added","attempt":99999999999}',
        # Fit to decode, refused by ClickHouse: a field twice.
        b'{"v":1,"id":"x","ts":1795000000000,"env":"e","source":"s","queue":"q","epoch":0,"stream_id":"1-0",'
        b'"event":"added","queue":"q"}',
    ]
    # Fit, for keys that nobody knows yet are not read, though ClickHouse has columns of those names.
    unknown = b'{"v":1,"id":"new","ts":1795000000000,"message":"m","enriched":"maybe","lost":{},"kafka_offset":5}'
    await producer.send_and_wait(topic, b'{"v":1}', partition=partition)
    for value in bad:
        await producer.send_and_wait(topic, value, key=b"k", partition=partition)
    await producer.send_and_wait(home.topics.logs, unknown, key=b"k", partition=partition)
    await home.start()
    await home.ready()
    await home.produce([good, home.event(2), home.event(3)])
    await home.stored(4)
    letters = await home.dead_letters()
    system = await home.json("/api/v1/system")
    await home.stop()
    assert {letter.origin for letter in letters} == {f"kafka:{topic}:{partition}:{n}" for n in range(8)}
    assert any("contract version 7" in letter.reason for letter in letters)
    assert any("ClickHouse refused it" in letter.reason for letter in letters)
    assert system["dead_letters"] == 8
    [counts] = await home.query(COUNTS)
    assert counts == [[4, 4, 4]]


@pytest.mark.parametrize("has_grown", [False, True])
async def test_a_topic_made_anew_is_said_loudly_and_stored_beside_the_old(home: House, has_grown: bool) -> None:
    await home.start()
    await home.ready()
    await home.produce([home.event(n) for n in range(50)])
    await home.stored(50)
    await home.stop()
    await home.remake_topic(home.topics.jobs)
    again = [home.event(n, ts=1_795_000_100_000 + n) for n in range(100, 200)]
    if has_grown:
        await home.produce(again)
    await home.start()
    await home.ready()
    if not has_grown:
        await home.produce(again)
    await home.stored(150)
    await home.stop()
    assert "kafka_began_anew" in home.log()
    [counts] = await home.query("SELECT count(), uniqExact(id), uniqExact(kafka_cluster) FROM journal")
    assert counts == [[150, 150, 2]]


async def test_a_group_that_lost_its_positions_neither_loses_nor_doubles(home: House) -> None:
    await home.start()
    await home.ready()
    await home.produce([home.event(n) for n in range(50)])
    await home.stored(50)
    await home.stop()
    await home.forget_group()
    await home.produce([home.event(n) for n in range(50, 80)])
    await home.start()
    await home.ready()
    await home.stored(80)
    await home.stop()
    assert "kafka_began_anew" not in home.log()
    [counts] = await home.query(COUNTS)
    assert counts == [[80, 80, 80]]


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_kills_at_random_moments_neither_lose_nor_double(home: House, seed: int) -> None:
    dice = random.Random(seed)
    home.environ["LOGSVC_BATCH_ROWS"] = "150"
    producing = asyncio.create_task(_produce_for_long(home, 9000))
    for _ in range(10):
        await home.start()
        await home.ready()
        await asyncio.sleep(dice.uniform(0, 4))  # the random moment itself
        await home.kill()
    await producing
    await home.start()
    await home.ready()
    await home.stored(9000)
    assert await home.stop() == 0
    counts, per_queue = await home.query(COUNTS, PER_QUEUE)
    assert counts == [[9000, 9000, 9000]]
    assert per_queue == [[f"q{n}", "added", 1800] for n in range(5)]
    [by_minute] = await home.query(BY_MINUTE, settings={"force_optimize_projection": 1})
    assert sum(row[-1] for row in by_minute) == 9000


async def _produce_for_long(home: House, number: int) -> None:
    day = 24 * 3600 * 1000
    producer = await home.producer("long")
    for first in range(0, number, 100):
        await producer.begin_transaction()
        events = [home.event(n, ts=1_795_000_000_000 - n % 3 * day + n) for n in range(first, first + 100)]
        await asyncio.gather(*[await home.send(producer, event) for event in events])
        await producer.commit_transaction()
        await asyncio.sleep(0.5)  # for as long as the kills go on
