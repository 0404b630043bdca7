"""How many open jobs are watched, across a restart too, and what is said of those that are not."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from bridge.outbox import Outbox
from bridge.record import Record
from bridge.sources.bullmq.cursors import restore
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.reconcile import open_jobs
from bridge.sources.bullmq.reconcile.open_jobs import Room
from tests.eventually import eventually
from tests.integration.bridge.by_hand import make_queue
from tests.lanes import lane_on, new_metrics, read_in
from tests.stalls import stalls
from tocsin.events import JobEvent, decode

JOBS = [f"j{number}" for number in range(130)]


class Lanes:
    """One lane after the other on the queue `mail`, each from the cursors that those before it left."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._cursors: dict[bytes, bytes] = {}
        self.events: list[JobEvent] = []

    def of(self, event: str) -> list[JobEvent]:
        return [one for one in self.events if one.event == event]

    async def run(
        self,
        event: str,
        count: int,
        room: Room | None = None,
        *,
        then: Callable[[], Awaitable[None]] | None = None,
        event_then: str = "",
        every: float = 0.3,
    ) -> None:
        """Read until so many of an event are told, and after `then` of another; then end in peace."""
        door, outbox, metrics, end = (
            Door(self._redis_url),
            Outbox(lambda record: record, list[Record]),
            new_metrics(),
            asyncio.Event(),
        )
        lane = lane_on(door, outbox, metrics, reconcile_seconds=every, room=room)
        restored = restore("main", "main", "", self._cursors)
        read_in(lane, door, metrics, "mail", restored.positions.get("mail"), restored)

        def is_told(event: str) -> bool:
            self._take(outbox.take()[0])
            return len(self.of(event)) >= count

        async with asyncio.TaskGroup() as group:
            group.create_task(lane.run(end))
            await eventually(lambda: is_told(event), what=f"{count} × {event}")
            if then is not None:
                await then()
                await eventually(lambda: is_told(event_then), what=f"{count} × {event_then}")
            end.set()
        self._take(outbox.take()[0])
        await door.close()

    def _take(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.topic == "t.cursors" and record.value is not None:
                self._cursors[record.key] = record.value
            elif record.topic == "t.jobs":
                self.events.append(decode(JobEvent, record.value or b""))


async def add_jobs(app: Any, jobs: Sequence[str] = JOBS, *, added_at: int = 1) -> None:
    await make_queue(app, "mail")
    pipe = app.pipeline(transaction=False)
    for job_id in jobs:
        pipe.hset(f"bull:mail:{job_id}", mapping={"name": "send", "opts": "{}", "data": "{}", "timestamp": added_at})
        pipe.lpush("bull:mail:wait", job_id)
        pipe.xadd("bull:mail:events", {"event": "added", "jobId": job_id, "name": "send"})
    await pipe.execute()


async def test_all_open_jobs_are_known_after_a_bridge_that_ended_in_peace(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were drained meanwhile; one cursor does not hold them all."""
    monkeypatch.setattr(open_jobs, "STORED_JOBS", 30)
    monkeypatch.setattr("bridge.sources.bullmq.reconcile.reconciler.STORED_JOBS", 30)
    await add_jobs(app)
    lanes = Lanes(redis_url)
    await lanes.run("added", len(JOBS))
    await app.delete("bull:mail:wait", *(f"bull:mail:{job_id}" for job_id in JOBS))
    await lanes.run("reconciled", len(JOBS))
    assert sorted(event.job_id for event in lanes.of("reconciled")) == sorted(JOBS)
    assert lanes.of("left-out") == []


async def test_job_that_another_replaced_is_told_once_across_a_restart(app: Any, redis_url: str) -> None:
    """The queue was obliterated, and its ids began anew. What is told after the restart is of the second job."""
    await add_jobs(app, ["1"])
    lanes = Lanes(redis_url)

    async def replace() -> None:
        await app.delete("bull:mail:events", "bull:mail:wait", "bull:mail:1")
        await add_jobs(app, ["1"], added_at=2)

    await lanes.run("added", 1, then=replace, event_then="reconciled")
    await app.delete("bull:mail:wait", "bull:mail:1")
    await lanes.run("reconciled", 2)
    assert [(event.job_id, event.added_at, event.state) for event in lanes.of("reconciled")] == [
        ("1", 1, "removed"),
        ("1", 2, "removed"),
    ]


async def test_ten_thousand_jobs_drained_are_told_within_a_minute(app: Any, redis_url: str) -> None:
    """Comparing as often as it ships."""
    jobs = [f"j{number}" for number in range(10_000)]
    lanes = Lanes(redis_url)
    await add_jobs(app, jobs)

    drained = math.inf

    async def drain() -> None:
        nonlocal drained
        await app.delete("bull:mail:wait", *(f"bull:mail:{job_id}" for job_id in jobs))
        drained = time.monotonic() - stalled()

    async with stalls() as stalled:
        await lanes.run("added", len(jobs), then=drain, event_then="reconciled", every=20)
        assert time.monotonic() - stalled() - drained < 60
    assert {event.job_id for event in lanes.of("reconciled")} == set(jobs)
    assert len(lanes.of("reconciled")) == len(jobs)


async def test_how_many_jobs_are_no_longer_accounted_for_is_told(app: Any, redis_url: str) -> None:
    await add_jobs(app)
    lanes = Lanes(redis_url)
    await lanes.run("left-out", 1, Room(100))
    [told] = lanes.of("left-out")
    assert (told.level, told.job_id) == ("warn", "")
    assert told.message.startswith("30 jobs no longer accounted for")
