"""A batch too big for one transaction is committed in parts: whichever is the last, nothing is lost or told twice."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from bridge import outbox as box
from bridge.outbox import Outbox
from bridge.record import Record
from bridge.sources.bullmq import groups
from bridge.sources.bullmq.cursors import Restored, restore
from bridge.sources.bullmq.door import Door
from tests.eventually import eventually
from tests.integration.bridge.by_hand import make_queue
from tests.lanes import lane_on, new_metrics, read_in
from tocsin.events import JobEvent, LogLine, decode

EVENTS = "bull:mail:events"
HASH = {"name": "send", "opts": '{"attempts":3}', "data": "{}", "timestamp": 1, "returnvalue": "1", "finishedOn": 5}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some records each, not a MiB."""
    monkeypatch.setattr(groups, "GROUP_BYTES", 2500)
    monkeypatch.setattr(box, "TRANSACTION_BYTES", 1)


def values(records: list[Record], topic: str) -> list[bytes]:
    return [record.value for record in records if record.topic == topic and record.value is not None]


def restored(records: list[Record]) -> Restored:
    kept = {one.key: one.value for one in records if one.topic == "t.cursors"}
    return restore("main", "main", "", {key: value for key, value in kept.items() if value is not None})


async def relay(app: Any, redis_url: str, committed: list[Record]) -> list[list[Record]]:
    """What a bridge that begins where these say tells until it has read all: transaction by transaction."""
    door, outbox, end = Door(redis_url), Outbox(lambda record: record, list[Record]), asyncio.Event()
    metrics, begun = new_metrics(), restored(committed)
    lane = lane_on(door, outbox, metrics, reconcile_seconds=3600)
    read_in(lane, door, metrics, "mail", begun.positions.get("mail"), begun)
    newest = (await app.xinfo_stream(EVENTS))["last-generated-id"].decode()
    told: list[list[Record]] = []

    def is_through() -> bool:
        while records := outbox.take()[0]:
            told.append(records)
        position = restored([*committed, *(one for part in told for one in part)]).positions.get("mail")
        return position is not None and position.last_id == newest

    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(is_through, what="the end of the stream")
        end.set()
    is_through()
    await door.close()
    return told


async def happen(app: Any, job_id: str, *events: str) -> None:
    for event in events:
        name, _, prev = event.partition("/")
        await app.xadd(EVENTS, {"event": name, "jobId": job_id, "name": "send", **({"prev": prev} if prev else {})})


async def live(app: Any, job_id: str, *lines: str, runs: int = 1) -> None:
    await app.hset(f"bull:mail:{job_id}", mapping={**HASH, "ats": runs, "atm": runs})
    await app.rpush(f"bull:mail:{job_id}:logs", *lines)


@pytest.mark.usefixtures("small_parts")
async def test_kill_between_two_parts_loses_no_line_and_tells_none_twice(app: Any, redis_url: str) -> None:
    await make_queue(app, "mail")
    await live(app, "again", "former 1", "former 2")
    for job_id in ("again", "reborn"):
        await happen(app, job_id, "added", "waiting", "active", "completed/active")
    committed = [record for part in await relay(app, redis_url, []) for record in part]
    await app.delete("bull:mail:again", "bull:mail:again:logs")
    await live(app, "again", "anew")
    await live(app, "reborn", "newborn")
    await happen(app, "reborn", "waiting/completed", "removed", "added", "waiting", "active", "completed/active")
    await live(app, "by hand", "first", "second", runs=2)
    for job_id in ("by hand", "again"):
        await happen(app, job_id, "added", "waiting", "active", "completed/active")
    for number in range(20):
        await live(app, f"j{number}", f"line of {number}")
        await happen(app, f"j{number}", "added", "waiting", "active", "completed/active", "progress")
    await happen(app, "by hand", "waiting/completed", "active", "completed/active")
    parts = await relay(app, redis_url, committed)
    assert len(parts) > 8

    for count in range(len(parts) + 1):
        before = [*committed, *(record for part in parts[:count] for record in part)]
        rest = await relay(app, redis_url, before) if count < len(parts) else []
        told = [*before, *(record for part in rest for record in part)]
        lines = Counter(decode(LogLine, value).message for value in values(told, "t.logs"))
        expected = {"former 1", "former 2", "anew", "newborn", "first", "second"}
        expected |= {f"line of {number}" for number in range(20)}
        assert lines == Counter(expected), f"{count} parts were committed"
        events = Counter(decode(JobEvent, value).id for value in values(told, "t.jobs"))
        assert set(events.values()) == {1}
        assert len(events) == 8 + 6 + 8 + 100 + 3


async def test_retry_by_hand_behind_the_end_of_a_job_with_a_long_log_is_left_for_the_next_read(
    app: Any, redis_url: str
) -> None:
    await make_queue(app, "mail")
    await live(app, "long", *map(str, range(1000)))
    await live(app, "by hand", "told before Tocsin", runs=2)
    await happen(app, "long", "added", "waiting", "active", "completed/active")
    await happen(app, "by hand", "waiting/completed", "active", "completed/active")
    told = [record for part in await relay(app, redis_url, []) for record in part]
    assert len(values(told, "t.logs")) == 1000
    assert len(values(told, "t.jobs")) == 7
