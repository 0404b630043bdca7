"""After a restart the queues are read at once: what was told of their open jobs is learned beside that."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from bridge.outbox import Outbox
from bridge.record import Record
from bridge.sources.bullmq.cursors import Restored
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.stream import Gap, Position
from bridge.sources.bullmq.translate import Place
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.lanes import Kafka, lane_on, new_metrics, read_in
from tocsin.events import VERSION, JobEvent, LogLine, OpenCursor, State, decode, encode

QUEUES = ["mail", "orders", "files"]


def told(records: Sequence[Record]) -> list[JobEvent]:
    return [decode(JobEvent, record.value or b"") for record in records if record.topic == "t.jobs"]


def ended(queue: str, position: Position) -> bytes:
    """The record of a job that ended while the cursor of the open jobs was behind."""
    record = Place("prod", "main", queue).record(
        "completed", epoch=1, tail="e", ts=1, stream_id=position.last_id, state=State.COMPLETED, job_id="ended"
    )
    return encode(record)


async def test_restart_reads_every_queue_before_it_knows_its_open_jobs_again(app: Any, redis_url: str) -> None:
    """Their streams were trimmed meanwhile, so Kafka must tell, and is slow; it is asked once for all of them."""
    may_answer, asked = asyncio.Event(), list[list[str]]()
    positions = dict[str, Position]()
    door, outbox, metrics, end = (
        Door(redis_url),
        Outbox(lambda record: record, list[Record]),
        new_metrics(),
        asyncio.Event(),
    )

    async def read_back(places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
        asked.append([place.queue for place in places])
        await may_answer.wait()
        for queue in QUEUES:
            yield queue, ended(queue, positions[queue])

    lane = lane_on(door, outbox, metrics, reconcile_seconds=0.1, read_back=read_back)
    for queue in QUEUES:
        await make_queue(app, queue)
        ids = await add_events(app, queue, 20)
        positions[queue] = Position(ids[-1], 20)
        await add_events(app, queue, 200, max_len=10, first=100)
        jobs = [(job_id, 5, State.ACTIVE, "send", 0) for job_id in ("lives-on", "ended", "drained")]
        stored = OpenCursor(v=VERSION, ts=9, last_id=ids[3], pos=4, epoch=1, jobs=jobs)
        restored = Restored(positions={queue: positions[queue]}, open_jobs={queue: stored})
        await app.hset(f"bull:{queue}:lives-on", mapping={"name": "send", "timestamp": 5, "opts": "{}", "data": "{}"})
        await app.lpush(f"bull:{queue}:active", "lives-on")
        read_in(lane, door, metrics, queue, positions[queue], restored)
    events = list[JobEvent]()

    def all_have(event: str, job_id: str) -> bool:
        records, committed = outbox.take()
        events.extend(told(records))
        for tell in committed:
            tell()
        return {one.queue for one in events if (one.event, one.job_id) == (event, job_id)} == set(QUEUES)

    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: all_have("added", "job-299"), what="the newest event of each queue")
        await eventually(lambda: asked == [QUEUES], what="one reading for all of them")
        may_answer.set()
        await eventually(lambda: all_have("reconciled", "drained"), what="the silent end of each")
        end.set()
    await door.close()
    assert {one.job_id for one in events if one.event == "reconciled"} == {"drained"} | {
        one.job_id for one in events if one.event == "added"
    }


async def add_running(app: Any, queue: str, job_id: str, line: str) -> None:
    """A job that runs and has logged a line; no entry tells of it."""
    job = {"name": "send", "opts": "{}", "data": "{}", "timestamp": 5_000, "ats": 1}
    await app.hset(f"bull:{queue}:{job_id}", mapping=job)
    await app.lpush(f"bull:{queue}:active", job_id)
    await app.rpush(f"bull:{queue}:{job_id}:logs", line)


async def test_nothing_is_told_of_a_stream_cut_short_before_its_reset(app: Any, redis_url: str) -> None:
    """A failover brought back a job that was told to be removed. The reset waits for what was open, and all for it.

    The log of another queue's job tells when those of this one's would have been, and its gap is past.
    """
    may_answer, kafka, end = asyncio.Event(), Kafka(), asyncio.Event()
    door, metrics = Door(redis_url), new_metrics()

    async def read_back(places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
        await may_answer.wait()
        for nothing in ():
            yield nothing

    lane = lane_on(door, kafka.outbox, metrics, reconcile_seconds=0.1, read_back=read_back)
    for queue in ("mail", "orders"):
        await make_queue(app, queue)
        ids = await add_events(app, queue, 20)
        await add_running(app, queue, "back", f"a line of {queue}")
    milliseconds = int(ids[-1].partition("-")[0])
    await app.hset("bull:mail:ended", mapping={"name": "send", "opts": "{}", "timestamp": 6_000, "finishedOn": 8_000})
    await app.zadd("bull:mail:completed", {"ended": 8_000})
    position = Position(f"{milliseconds + 1}-0", 30, gaps=(Gap(7_000, 9_000),))
    stored = OpenCursor(v=VERSION, ts=9, last_id="1-1", pos=10, epoch=1, jobs=[])
    restored = Restored(positions={"mail": position}, open_jobs={"mail": stored})
    read_in(lane, door, metrics, "mail", position, restored)
    read_in(lane, door, metrics, "orders")

    def lines() -> dict[str, int]:
        kafka.commit()
        told = [decode(LogLine, record.value or b"") for record in kafka.records if record.topic == "t.logs"]
        return {line.queue: line.epoch for line in told}

    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: "orders" in lines(), what="the line of the other queue")
        assert lines() == {"orders": 1}
        may_answer.set()
        await eventually(lambda: "mail" in lines(), what="the line of the job that is back")
        end.set()
    await door.close()
    assert lines() == {"mail": 2, "orders": 1}
    events = [event for event in kafka.events if event.queue == "mail"]
    assert (events[0].event, {event.epoch for event in events}) == ("stream-reset", {2})
