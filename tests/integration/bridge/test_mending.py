"""A gap is mended beside the reading: the queue goes on meanwhile, or is obliterated, and nothing is told wrongly."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bridge.outbox import Outbox
from bridge.record import Record
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.translate import Place
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.lanes import Kafka, lane_on, lane_reading, new_metrics, read_in
from tocsin.events import Cursor, JobEvent, LogLine, decode

AGO_MS = 60_000
"""So long ago was the gap: it is mended at once."""

SECRET = "hunter2canary7f3a9b"


class Mended:
    """One lane at a gap, and what it told. is_held: the mending waits for `may_go_on`. was_left: it does no more."""

    def __init__(self) -> None:
        self.events: list[JobEvent] = []
        self.cursor: Cursor | None = None
        self.is_held, self.may_go_on, self.was_left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def read_back(self, places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
        """Nothing was told of the queue before; it takes a while to know."""
        self.is_held.set()
        try:
            await self.may_go_on.wait()
        finally:
            self.was_left.set()
        for record in ():
            yield record

    async def write(self, outbox: Outbox[list[Record]]) -> None:
        """Be the writer."""
        while await outbox.wait():
            records, committed = outbox.take()
            for record in records:
                if record.topic == "t.jobs":
                    self.events.append(decode(JobEvent, record.value or b""))
                elif record.key == b"main:main:mail":
                    self.cursor = decode(Cursor, record.value or b"")
            for tell in committed:
                tell()

    async def until_told(self, job_id: str, event: str = "added") -> None:
        def is_told() -> bool:
            return any((one.job_id, one.event) == (job_id, event) for one in self.events)

        await eventually(is_told, what=f"`{event}` of {job_id}")

    def of(self, job_id: str) -> list[tuple[str, int, bool]]:
        """What was told of a job: the event, its epoch, and whether it was rebuilt."""
        return [(one.event, one.epoch, one.rebuilt) for one in self.events if one.job_id == job_id]


@asynccontextmanager
async def at_a_gap(app: Any, redis_url: str) -> AsyncGenerator[Mended]:
    """Ten jobs were added; three entries were read, five lost. In the gap the job `ended` did, and `open` was added."""
    begun = int(time.time() * 1000) - AGO_MS
    await make_queue(app, "mail")
    for number in range(10):
        fields = {"event": "added", "jobId": f"job-{number}", "name": "send"}
        await app.xadd("bull:mail:events", fields, id=f"{begun + number}-0")
    await app.xtrim("bull:mail:events", maxlen=2, approximate=False)
    await end(app, "ended", begun + 5)
    await app.hset("bull:mail:open", mapping={"name": "send", "timestamp": begun + 5, "opts": "{}", "data": "{}"})
    await app.lpush("bull:mail:wait", "open")
    mended, door, outbox, stop = Mended(), Door(redis_url), Outbox(lambda record: record, list[Record]), asyncio.Event()
    metrics = new_metrics()
    lane = lane_on(door, outbox, metrics, reconcile_seconds=3600, read_back=mended.read_back)
    read_in(lane, door, metrics, "mail", Position(f"{begun + 2}-0", 3))
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(stop))
        writing = group.create_task(mended.write(outbox))
        await mended.is_held.wait()
        yield mended
        stop.set()
        writing.cancel()
    await door.close()


async def end(app: Any, job_id: str, at: int) -> None:
    """A job's hash and place, as they are after its end."""
    job = {"name": "send", "timestamp": at - 1, "opts": "{}", "data": "{}", "atm": 1, "finishedOn": at}
    await app.hset(f"bull:mail:{job_id}", mapping={**job, "returnvalue": "1"})
    await app.zadd("bull:mail:completed", {job_id: at})


async def test_queue_that_stays_busy_is_read_on_and_mended(app: Any, redis_url: str) -> None:
    async with at_a_gap(app, redis_url) as mended:
        fed, is_enough = 0, False

        async def feed() -> None:
            nonlocal fed
            while not is_enough:
                await add_events(app, "mail", 5, first=100 + fed)
                fed += 5
                await asyncio.sleep(0.005)

        feeding = asyncio.create_task(feed())
        await mended.until_told("job-130")
        await app.lmove("bull:mail:wait", "bull:mail:active")
        await app.xadd("bull:mail:events", {"event": "active", "jobId": "open", "prev": "waiting"})
        await end(app, "late", int(time.time() * 1000))
        await app.xadd(
            "bull:mail:events", {"event": "completed", "jobId": "late", "returnvalue": "1", "prev": "active"}
        )
        await mended.until_told("late", "completed")
        mended.may_go_on.set()
        await mended.until_told("ended", "completed")
        await eventually(lambda: mended.cursor is not None and not mended.cursor.gaps, what="the gap forgotten")
        await mended.until_told(f"job-{100 + fed}")
        is_enough = True
        await feeding
        await mended.until_told(f"job-{100 + fed - 1}")
    assert mended.of("ended") == [("added", 1, True), ("completed", 1, True)]
    assert mended.of("late") == [("completed", 1, False)]
    assert mended.of("open") == [("active", 1, False)]
    told = [int(one.job_id[4:]) for one in mended.events if one.job_id.startswith("job-")]
    assert told == [8, 9, *range(100, 100 + fed)]
    assert [one.lost for one in mended.events if one.lost] == [5]


async def test_mending_ends_with_the_queue_that_is_obliterated(app: Any, redis_url: str) -> None:
    """What is made anew under the names of jobs of the gap is told by its own events, and as no part of the gap."""
    async with at_a_gap(app, redis_url) as mended:
        keys = [key async for key in app.scan_iter("bull:mail:*", count=1000)]
        pipe = app.pipeline(transaction=True)
        pipe.delete(*keys)
        pipe.hset("bull:mail:meta", mapping={"opts.maxLenEvents": 10_000})
        for event in ("added", "active", "completed"):
            pipe.xadd("bull:mail:events", {"event": event, "jobId": "ended", "name": "send", "returnvalue": "1"})
        await pipe.execute()
        await end(app, "ended", int(time.time() * 1000) - AGO_MS)  # by the app's clock, which is far behind
        await mended.until_told("ended", "completed")
        async with asyncio.timeout(READY_SECONDS):
            await mended.was_left.wait()
        mended.may_go_on.set()
        await add_events(app, "mail", 1, first=500)
        await mended.until_told("job-500")
    assert mended.of("ended") == [("added", 2, False), ("active", 2, False), ("completed", 2, False)]
    assert [one.epoch for one in mended.events if one.event == "stream-reset"] == [2]
    assert not any(one.rebuilt for one in mended.events)
    assert mended.cursor is not None
    assert (mended.cursor.epoch, mended.cursor.gaps) == (2, [])


async def test_what_no_event_told_of_a_job_hides_its_secrets(app: Any, redis_url: str) -> None:
    """Rebuilt from its hash and its log, or reconciled: it leaves by other ways than what events tell."""
    kafka, begun = Kafka(), int(time.time() * 1000) - AGO_MS
    error = f"connect postgres://app:{SECRET}@db failed, token={SECRET}"
    await make_queue(app, "mail")
    fields = {"event": "added", "jobId": "away", "name": f"send password={SECRET}"}
    await app.xadd("bull:mail:events", fields, id=f"{begun}-0")
    async with lane_reading(redis_url, kafka, "mail"):
        await eventually(lambda: bool(kafka.of("away")), what="a job whose hash was never there")
        hashed = {"name": f"send token={SECRET}", "timestamp": begun + 1, "opts": "{}", "atm": 1}
        told = {"failedReason": error, "stacktrace": json.dumps([f"Error: {error}\n    at work (job.js:1:2)"])}
        pipe = app.pipeline(transaction=True)
        pipe.hset("bull:mail:7", mapping={**hashed, **told, "finishedOn": begun + 2})
        pipe.hset("bull:mail:7", "data", json.dumps({"password": SECRET, "url": f"https://ann:{SECRET}@api"}))
        pipe.zadd("bull:mail:failed", {"7": begun + 2})
        pipe.rpush("bull:mail:7:logs", f"[ERROR] login with password={SECRET} refused", json.dumps({"token": SECRET}))
        for ms in (1, 2, 3):
            pipe.xadd("bull:mail:events", {"event": "added", "jobId": f"job-{ms}"}, id=f"{begun + ms}-0")
        pipe.xtrim("bull:mail:events", maxlen=1, approximate=False)
        await pipe.execute()
        await eventually(lambda: any(event.event == "failed" for event in kafka.events), what="its end")
        await eventually(lambda: any(event.event == "reconciled" for event in kafka.events), what="the other's removal")
    [failed] = [event for event in kafka.events if event.event == "failed"]
    lines = [decode(LogLine, record.value or b"") for record in kafka.records if record.topic == "t.logs"]
    assert (failed.rebuilt, bool(failed.stack), "postgres://" in failed.error) == (True, True, True)
    assert [line.rebuilt for line in lines] == [True, True]
    assert not [record for record in kafka.records if SECRET in str(record)]
