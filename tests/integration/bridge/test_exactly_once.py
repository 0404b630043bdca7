"""Promise 1 at its root: fenced writers, restored cursors and transactions on a real Kafka, while owners die.

The source is made up (numbers), so that what must arrive is known exactly: 0, 1, 2 … once each, in order, per
partition. What is there is read only when no owner lives any more, so that nothing can come late.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.eventually import READY_SECONDS, eventually

OWNER = Path(__file__).parent / "counting_owner.py"
PARTITIONS = 4


class Owners:
    """The replicas of one test, as processes. Each writes what it has to say to a file of its own."""

    def __init__(self, bootstrap: str, prefix: str, limit: int, folder: Path) -> None:
        self._arguments = ["--bootstrap", bootstrap, "--prefix", prefix, "--limit", str(limit)]
        self._folder = folder
        self._logs: dict[asyncio.subprocess.Process, Path] = {}
        self.running: list[asyncio.subprocess.Process] = []

    async def start(self, *more: str) -> asyncio.subprocess.Process:
        log = self._folder / f"owner-{len(self._logs)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(OWNER),
                *self._arguments,
                *more,
                env={**os.environ, "PYTHONPATH": os.getcwd()},
                stdout=output,
                stderr=output,
            )
        self._logs[process] = log
        self.running.append(process)
        return process

    def log(self, process: asyncio.subprocess.Process) -> str:
        return self._logs[process].read_text()

    async def leave(self, process: asyncio.subprocess.Process) -> None:
        """Let it drain."""
        self.running.remove(process)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), READY_SECONDS) == 0, self.log(process)[-2000:]

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        self.running.remove(process)
        process.send_signal(signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def owners(bootstrap: str, prefix: str, limit: int, folder: Path) -> AsyncGenerator[Owners]:
    group = Owners(bootstrap, prefix, limit, folder)
    try:
        yield group
    finally:
        for process in list(group.running):
            await group.kill(process)


class Numbers:
    """What is committed, by partition: `all` grows with what is read."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._places = [TopicPartition(f"{prefix}jobs", partition) for partition in range(PARTITIONS)]
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self.all: dict[int, list[int]] = {place.partition: [] for place in self._places}

    async def __aenter__(self) -> "Numbers":
        await self._consumer.start()
        self._consumer.assign(self._places)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def reach(self, number: int) -> None:
        """Read until every partition has this number: the owners are so far."""
        async with asyncio.timeout(READY_SECONDS):
            while not all(numbers and numbers[-1] >= number for numbers in self.all.values()):
                await self._read()

    async def read_to_the_end(self) -> None:
        """Read whatever there is; an open transaction is waited for."""
        ends = {}
        async with asyncio.timeout(READY_SECONDS):
            while not ends or [place for place, end in ends.items() if await self._consumer.position(place) < end]:
                await self._read()
                ends = {place: self._consumer.highwater(place) or 1 for place in self._places}

    async def _read(self) -> None:
        for place, records in (await self._consumer.getmany(timeout_ms=300)).items():
            self.all[place.partition] += [int(record.value or b"") for record in records]


@asynccontextmanager
async def numbers_of(bootstrap: str, prefix: str, limit: int, folder: Path) -> AsyncGenerator[tuple[Owners, Numbers]]:
    """Owners that relay so many numbers a partition, and what they committed; in the end it is each once, in order."""
    async with Numbers(bootstrap, prefix) as numbers:
        async with owners(bootstrap, prefix, limit, folder) as group:
            yield group, numbers
            await numbers.reach(limit - 1)
            for process in list(group.running):
                await group.leave(process)
        await numbers.read_to_the_end()
    for partition, seen in numbers.all.items():
        assert seen == list(range(limit)), f"partition {partition}"


async def test_numbers_arrive_once_in_order_while_owners_are_killed(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    dice = random.Random(7)
    async with numbers_of(kafka_bootstrap, topic_prefix, 6000, tmp_path) as (group, numbers):
        await group.start()
        await group.start()
        await numbers.reach(10)
        for _ in range(3):
            await asyncio.sleep(dice.uniform(0.3, 0.9))  # a random moment of work, not a synchronisation
            await group.kill(dice.choice(group.running))
            await group.start()


async def test_a_zombie_that_wakes_up_is_fenced(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """It was stopped while it wrote: awake, it writes on, and must be told that this is no more its business."""
    async with numbers_of(kafka_bootstrap, topic_prefix, 3000, tmp_path) as (group, numbers):
        zombie = await group.start()
        await numbers.reach(10)
        zombie.send_signal(signal.SIGSTOP)
        await group.start()
        await numbers.reach(1500)
        assert "writer lost" not in group.log(zombie)
        zombie.send_signal(signal.SIGCONT)
        await eventually(lambda: "writer lost" in group.log(zombie), what="the zombie fenced")


async def test_a_batch_that_fails_before_commit_leaves_nothing_behind(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    async with numbers_of(kafka_bootstrap, topic_prefix, 1500, tmp_path) as (group, _):
        await group.start("--fail-every", "7")
