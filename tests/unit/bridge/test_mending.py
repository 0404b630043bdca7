"""What is mended stays to be mended until it is told."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import ResponseError

from bridge.errors import SourceUnavailable
from bridge.lag import Lag
from bridge.metrics import Metrics
from bridge.outbox import Outbox
from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq.gaps.mender import MOST_FAILURES, Mender
from bridge.sources.bullmq.gaps.told import Ended, ReadBack
from bridge.sources.bullmq.gaps.work import Work
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logs.last import LastLines
from bridge.sources.bullmq.logs.reader import LogReader
from bridge.sources.bullmq.logs.tail import LogTail
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.past import Past
from bridge.sources.bullmq.reconcile.open_jobs import OpenJob
from bridge.sources.bullmq.stream import Gap, Position
from bridge.sources.bullmq.tally import Tally
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.watched import Queue
from tests.eventually import READY_SECONDS
from tests.unit.bridge.entries import PLACE
from tocsin.events import JobEvent, State, decode
from tocsin.topics import Topics

NOW = 2_000_000
HASH = [b"send", b"1000", b"{}", b"1900000", b"boom", b'["Error: boom"]', b"1", None, b"1"]


class Door:
    """Redis with one job that failed. is_ill: its log cannot be read."""

    is_ill = True

    def now_ms(self) -> int:
        return NOW

    async def ask(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        if commands[0][0] == "HMGET":
            missing = len(commands[0]) - 2 - len(HASH)
            return [[*HASH, *[None] * missing], 0, [b"1800000", None, None]]
        if commands[0][0] == "ZRANGEBYSCORE":
            return [[b"7", b"1900000"] if commands[0][1].endswith("failed") else []]
        if len(commands) > 1:
            return [ResponseError("no lists here")] * len(commands)
        if self.is_ill:
            raise SourceUnavailable("it went away")
        return [[]]

    def say_any_refused(self, commands: Sequence[tuple[str, ...]], replies: Sequence[Any], *, without: str) -> None:
        """Nobody reads it."""


async def too_much(places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
    raise TimeoutError
    yield


async def nothing_told(places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
    for _ in ():
        yield "", b""


@asynccontextmanager
async def mending(
    door: Any, read_back: ReadBack = nothing_told
) -> AsyncGenerator[tuple[Mender, Queue, list[JobEvent]]]:
    """Who mends, a queue where one job runs as far as is known, and what is told of it."""
    records, metrics = Records(Topics("t.")), Metrics(CollectorRegistry())
    outbox, memory = Outbox(lambda record: record, list[Record]), QueueMemory()
    tail = LogTail("main", PLACE, records, memory, {}, lambda job_id: False)
    tally = Tally(metrics, PLACE.source, PLACE.queue, 1, door.now_ms)
    position = Position()
    queue = Queue(
        PLACE, Keys("bull", PLACE.queue), position, memory, tail, Past(position), Lag(door.now_ms), tally, is_met=True
    )
    queue.reconciling.jobs.put("7", OpenJob(State.ACTIVE, "send", 1000, 1))
    told: list[JobEvent] = []

    async def commit() -> None:
        while await outbox.wait():
            some, callbacks = outbox.take()
            told.extend(decode(JobEvent, record.value or b"") for record in some if record.topic == "t.jobs")
            for callback in callbacks:
                callback()

    committing = asyncio.create_task(commit())
    try:
        async with asyncio.timeout(READY_SECONDS):
            last_lines = LastLines(door, LogReader(door), outbox)
            yield Mender("main", door, outbox, records, read_back, last_lines, asyncio.Lock()), queue, told
    finally:
        outbox.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(committing, READY_SECONDS)


async def test_a_job_stays_open_while_the_log_it_ends_with_cannot_be_read() -> None:
    door = Door()
    async with mending(door) as (mender, queue, told):
        work = Work(queue, None, [Ended(1_900_000, "7", "failed")])
        with pytest.raises(SourceUnavailable):
            await mender.mend([work])
        assert (told, work.is_done) == ([], False)
        assert "7" in queue.reconciling.jobs, "a drain would keep it as open, and the next bridge find its end"
        door.is_ill = False
        await mender.mend([work])
        assert work.is_done
        assert "7" not in queue.reconciling.jobs
    assert [(event.event, event.error, event.rebuilt) for event in told][:1] == [("failed", "boom", True)]


@pytest.mark.parametrize("read_back", [nothing_told, too_much])
async def test_an_end_that_was_found_by_comparing_and_lies_in_a_gap_too_is_told_once(read_back: ReadBack) -> None:
    door = Door()
    door.is_ill = False
    async with mending(door, read_back) as (mender, queue, told):
        queue.mend_failures = MOST_FAILURES - 1
        await mender.mend([Work(queue, Gap(1_700_000, 1_950_000), [Ended(1_900_000, "7", "failed")])])
    assert [event.event for event in told if event.event != "active"] == ["failed", "retries-exhausted"]
