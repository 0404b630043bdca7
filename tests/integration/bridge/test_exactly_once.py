"""Promise 1 at its root: fenced writers, restored cursors and transactions on a real Kafka, while owners die.

The source is made up (numbers), so that what must arrive is known exactly: 0, 1, 2 … once each, in order, per
partition.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

OWNER = Path(__file__).parent / "counting_owner.py"
PARTITIONS = 4


class Owners:
    """The replicas of one test, as processes."""

    def __init__(self, bootstrap: str, prefix: str, limit: int) -> None:
        self._arguments = ["--bootstrap", bootstrap, "--prefix", prefix, "--limit", str(limit)]
        self.running: list[asyncio.subprocess.Process] = []

    async def start(self, *more: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(OWNER),
            *self._arguments,
            *more,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        self.running.append(process)
        return process

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        self.running.remove(process)
        process.send_signal(signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def owners(bootstrap: str, prefix: str, limit: int) -> AsyncGenerator[Owners]:
    group = Owners(bootstrap, prefix, limit)
    try:
        yield group
    finally:
        for process in list(group.running):
            await group.kill(process)


async def committed_numbers(bootstrap: str, prefix: str, limit: int, deadline: float) -> dict[int, list[int]]:
    """Read each partition until `limit` was seen everywhere, and then whatever else is there."""
    places = [TopicPartition(f"{prefix}jobs", partition) for partition in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    seen: dict[int, list[int]] = {place.partition: [] for place in places}
    try:
        consumer.assign(places)
        async with asyncio.timeout(deadline):
            while not all(numbers and numbers[-1] >= limit - 1 for numbers in seen.values()):
                for place, records in (await consumer.getmany(timeout_ms=300)).items():
                    seen[place.partition] += [int(record.value or b"") for record in records]
    finally:
        await consumer.stop()
    return seen


def assert_each_once_in_order(seen: dict[int, list[int]], limit: int) -> None:
    for partition, numbers in seen.items():
        assert numbers == list(range(limit)), f"partition {partition}"


async def until_relaying(bootstrap: str, prefix: str) -> None:
    """Return once the first numbers are committed: the owners are at work."""
    await committed_numbers(bootstrap, prefix, 10, deadline=60)


async def test_numbers_arrive_once_in_order_while_owners_are_killed(kafka_bootstrap: str, topic_prefix: str) -> None:
    limit, dice = 6000, random.Random(7)
    async with owners(kafka_bootstrap, topic_prefix, limit) as group:
        await group.start()
        await group.start()
        await until_relaying(kafka_bootstrap, topic_prefix)
        for _ in range(3):
            await asyncio.sleep(dice.uniform(0.3, 0.9))  # a random moment of work, not a synchronisation
            await group.kill(dice.choice(group.running))
            await group.start()
        seen = await committed_numbers(kafka_bootstrap, topic_prefix, limit, deadline=120)
    assert_each_once_in_order(seen, limit)


async def test_a_zombie_that_wakes_up_is_fenced(kafka_bootstrap: str, topic_prefix: str) -> None:
    limit = 3000
    async with owners(kafka_bootstrap, topic_prefix, limit) as group:
        zombie = await group.start()
        await until_relaying(kafka_bootstrap, topic_prefix)
        zombie.send_signal(signal.SIGSTOP)
        await group.start()
        await committed_numbers(kafka_bootstrap, topic_prefix, limit // 2, deadline=90)
        zombie.send_signal(signal.SIGCONT)
        seen = await committed_numbers(kafka_bootstrap, topic_prefix, limit, deadline=90)
    assert_each_once_in_order(seen, limit)


async def test_a_batch_that_fails_before_commit_leaves_nothing_behind(kafka_bootstrap: str, topic_prefix: str) -> None:
    limit = 1500
    async with owners(kafka_bootstrap, topic_prefix, limit) as group:
        await group.start("--fail-every", "7")
        seen = await committed_numbers(kafka_bootstrap, topic_prefix, limit, deadline=120)
    assert_each_once_in_order(seen, limit)


@pytest.mark.parametrize("replicas", [3])
async def test_replicas_that_join_and_leave_share_the_partitions(
    kafka_bootstrap: str, topic_prefix: str, replicas: int
) -> None:
    limit = 4000
    async with owners(kafka_bootstrap, topic_prefix, limit) as group:
        for _ in range(replicas):
            await group.start()
        await until_relaying(kafka_bootstrap, topic_prefix)
        leaving = group.running[0]
        leaving.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(leaving.wait(), 20) == 0
        group.running.remove(leaving)
        seen = await committed_numbers(kafka_bootstrap, topic_prefix, limit, deadline=120)
    assert_each_once_in_order(seen, limit)
