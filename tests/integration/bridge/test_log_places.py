"""How far a job's log was told is known as long as the job may go on, however many others log."""

import asyncio
from typing import Any

import pytest

from bridge.outbox import Outbox
from bridge.record import Record
from bridge.sources.bullmq.budget import Budget
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.logs import tail as logtail
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.by_hand import make_queue
from tests.lanes import lane_on, new_metrics, read_in
from tocsin.events import JobEvent, LogLine, decode

EVENTS = "bull:mail:events"
HASH = {"name": "send", "opts": '{"attempts":3,"backoff":60000}', "data": "{}", "timestamp": 1}


async def happen(app: Any, job_id: str, *events: str) -> None:
    for event in events:
        await app.xadd(EVENTS, {"event": event, "jobId": job_id, "name": "send"})


@pytest.mark.parametrize(("most", "fourth"), [(22_000, True), (3, False)], ids=["kept", "given up"])
async def test_no_line_is_told_again_when_a_job_runs_again(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch, most: int, fourth: bool
) -> None:
    """It waits to be tried again while others log. Given up beyond the bound: at its next run's beginning."""
    monkeypatch.setattr(logtail, "MAX_PLACES", 3)
    monkeypatch.setattr(logtail, "MOST_PLACES", most)
    others = [f"o{number}" for number in range(6)]
    lines = list[LogLine]()
    door, outbox, metrics, end = (
        Door(redis_url),
        Outbox(lambda record: record, list[Record]),
        new_metrics(),
        asyncio.Event(),
    )
    lane = lane_on(door, outbox, metrics, reconcile_seconds=3600)
    await make_queue(app, "mail")
    await app.hset("bull:mail:a", mapping={**HASH, "ats": 1})
    await app.rpush("bull:mail:a:logs", "one", "two", "three")
    await happen(app, "a", "added", "waiting", "active")
    read_in(lane, door, metrics, "mail")

    def are_told(*messages: str) -> bool:
        records, _ = outbox.take()
        lines.extend(decode(LogLine, record.value or b"") for record in records if record.topic == "t.logs")
        return set(messages) <= {line.message for line in lines}

    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: are_told("one", "two", "three"), what="the lines of the first run")
        await app.hset("bull:mail:a", mapping={"atm": 1, "failedReason": "no"})
        await happen(app, "a", "delayed")
        for job_id in others:
            await app.hset(f"bull:mail:{job_id}", mapping={**HASH, "ats": 1})
            await app.rpush(f"bull:mail:{job_id}:logs", job_id)
            await happen(app, job_id, "added", "waiting", "active")
        await eventually(lambda: are_told(*others), what="the others' lines")
        for job_id in others[:3]:
            await app.hset(f"bull:mail:{job_id}", mapping={"atm": 1, "failedReason": "no"})
            await happen(app, job_id, "delayed")
        await app.hset("bull:mail:a", mapping={"ats": 2})
        await app.rpush("bull:mail:a:logs", "four")
        await happen(app, "a", "waiting", "active")
        await app.rpush("bull:mail:o5:logs", "look")
        await eventually(lambda: are_told("look"), what="a look after that")
        await app.rpush("bull:mail:a:logs", "five")
        await eventually(lambda: are_told("five"), what="the line of the second run")
        end.set()
    await door.close()
    told = [line.message for line in lines if line.job_id == "a"]
    assert told == ["one", "two", "three", *(["four"] if fourth else []), "five"]
    assert {line.message for line in lines if line.job_id != "a"} == {*others, "look"}


async def test_no_line_is_told_again_of_an_ended_job_whose_place_others_needed(app: Any, redis_url: str) -> None:
    """Nothing may be remembered here but what runs."""
    lines, given_up, runs = list[LogLine](), list[bytes](), list[str]()
    door, outbox, metrics, end = (
        Door(redis_url),
        Outbox(lambda record: record, list[Record]),
        new_metrics(),
        asyncio.Event(),
    )
    lane = lane_on(door, outbox, metrics, reconcile_seconds=3600, budget=Budget(0))
    await make_queue(app, "mail")
    await app.hset("bull:mail:a", mapping={**HASH, "ats": 1})
    await app.rpush("bull:mail:a:logs", "one", "two")
    await happen(app, "a", "added", "waiting", "active")
    read_in(lane, door, metrics, "mail")

    def are_told(*messages: str) -> bool:
        records, _ = outbox.take()
        lines.extend(decode(LogLine, record.value or b"") for record in records if record.topic == "t.logs")
        runs.extend(decode(JobEvent, record.value or b"").event for record in records if record.topic == "t.jobs")
        given_up.extend(record.key for record in records if record.topic == "t.cursors" and record.value is None)
        return set(messages) <= {line.message for line in lines}

    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: are_told("one", "two"), what="the lines of the first run")
        assert b"main:main:mail:a" not in given_up, "while it runs it has its place"
        await app.hset("bull:mail:a", mapping={"atm": 1, "failedReason": "no", "finishedOn": 2})
        await app.xadd(EVENTS, {"event": "failed", "jobId": "a", "failedReason": "no", "prev": "active"})
        await eventually(lambda: are_told() and b"main:main:mail:a" in given_up, what="its place given up")
        await app.hdel("bull:mail:a", "finishedOn", "failedReason")
        await app.hset("bull:mail:a", mapping={"ats": 2})
        await app.xadd(EVENTS, {"event": "waiting", "jobId": "a", "prev": "failed"})
        await app.xadd(EVENTS, {"event": "active", "jobId": "a", "prev": "waiting"})
        await eventually(lambda: are_told() and runs.count("active") == 2, what="its second run")
        await app.rpush("bull:mail:a:logs", "three")
        await eventually(lambda: are_told("three"), what="the line of the second run")
        await app.hset("bull:mail:b", mapping={**HASH, "ats": 1})
        await happen(app, "b", "added")
        await eventually(lambda: are_told() and runs.count("added") == 2, what="a job, forgotten at once")
        await app.rpush("bull:mail:b:logs", "first")
        await happen(app, "b", "waiting", "active")
        await eventually(lambda: are_told("first"), what="what it logged before its first run was noticed")
        end.set()
    await door.close()
    assert [line.message for line in lines] == ["one", "two", "three", "first"]
