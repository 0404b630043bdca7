"""Jobs that run, and no entry tells of it: whose logs are followed, and until when."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from bridge.sources.bullmq.door import ASK_SECONDS, Command, Door, Reply
from bridge.sources.bullmq.logs.underway import QUEUES_A_READ
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.lanes import Kafka, lane_on, lane_reading, new_metrics, read_in
from tocsin.events import LogLine, decode


def told(kafka: Kafka) -> list[LogLine]:
    """What was told of logs until now."""
    kafka.commit()
    values = [record.value for record in kafka.records if record.topic == "t.logs"]
    return [decode(LogLine, value) for value in values if value is not None]


def lines(kafka: Kafka) -> set[str]:
    return {line.message for line in told(kafka)}


@pytest.mark.parametrize("how", ["completed", "removed"])
async def test_job_that_is_gone_is_followed_no_more(app: Any, redis_url: str, how: str) -> None:
    """At its end, as with removeOnComplete, or once its lock ran out: no hash will ever tell of it.

    Another that runs is followed on.
    """
    kafka = Kafka()
    await make_queue(app, "mail")
    await add_events(app, "mail", 1)
    for job_id in ("gone", "runs"):
        job = {"name": "send", "opts": "{}", "data": "{}", "timestamp": int(time.time() * 1000), "ats": 1}
        await app.hset(f"bull:mail:{job_id}", mapping=job)
        await app.lpush("bull:mail:active", job_id)
        await app.rpush(f"bull:mail:{job_id}:logs", f"{job_id}: one")
    async with lane_reading(redis_url, kafka, "mail"):
        await eventually(lambda: lines(kafka) == {"gone: one", "runs: one"}, what="both are followed")
        async with app.pipeline(transaction=True) as at_once:
            at_once.lrem("bull:mail:active", 0, "gone").delete("bull:mail:gone", "bull:mail:gone:logs")
            at_once.xadd("bull:mail:events", {"event": how, "jobId": "gone"})
            await at_once.execute()
        await eventually(lambda: bool(kafka.of("gone")), what="its end")
        for job_id in ("gone", "runs"):
            await app.rpush(f"bull:mail:{job_id}:logs", f"{job_id}: two")
        await eventually(lambda: "runs: two" in lines(kafka), what="the other is followed on")
    assert "gone: two" not in lines(kafka)


async def test_job_whose_id_was_used_again_in_a_gap_is_followed_as_what_it_is_now(app: Any, redis_url: str) -> None:
    kafka = Kafka()
    await make_queue(app, "mail", max_len=10)
    first, later = (int(time.time() * 1000) - ago for ago in (20_000, 10_000))
    former = {"name": "send", "opts": "{}", "data": "{}", "timestamp": first, "ats": 1}
    await app.hset("bull:mail:a", mapping=former)
    await app.lpush("bull:mail:active", "a")
    async with lane_reading(redis_url, kafka, "mail"):
        for event in ("added", "active"):
            await app.xadd("bull:mail:events", {"event": event, "jobId": "a", "name": "send"})
        await app.rpush("bull:mail:a:logs", "one")
        await eventually(lambda: lines(kafka) == {"one"}, what="the former's line")
        async with app.pipeline(transaction=True) as at_once:
            for _ in range(60):
                at_once.xadd("bull:mail:events", {"event": "drained"}, maxlen=10, approximate=False)
            at_once.delete("bull:mail:a", "bull:mail:a:logs")
            at_once.hset("bull:mail:a", mapping=former | {"name": "call", "timestamp": later})
            at_once.rpush("bull:mail:a:logs", "two")
            await at_once.execute()
        await eventually(lambda: "two" in lines(kafka), what="the later one's line")
    assert [(line.job_name, line.added_at) for line in told(kafka)] == [("send", first), ("call", later)]


class CountingDoor(Door):
    """Notes of how many queues at once it was asked for the active jobs."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.listed: list[int] = []

    async def ask(
        self, commands: Sequence[Command], *, timeout: float = ASK_SECONDS, as_text: bool = False
    ) -> list[Reply]:
        self.listed.append(sum(command[0] == "LRANGE" for command in commands))
        return await super().ask(commands, timeout=timeout, as_text=as_text)


async def test_jobs_of_many_queues_are_listed_by_some_queues_at_once(app: Any, redis_url: str) -> None:
    """What that brings has an end, however many there are: it holds entries of each."""
    door, kafka, metrics, end = CountingDoor(redis_url), Kafka(), new_metrics(), asyncio.Event()
    lane = lane_on(door, kafka.outbox, metrics)
    queues = [f"queue-{number}" for number in range(2 * QUEUES_A_READ + 1)]
    for queue in queues:
        await make_queue(app, queue)
        await add_events(app, queue, 1)
        await app.hset(f"bull:{queue}:runs", mapping={"name": "send", "opts": "{}", "data": "{}", "ats": 1})
        await app.lpush(f"bull:{queue}:active", "runs")
        await app.rpush(f"bull:{queue}:runs:logs", f"a line of {queue}")
        read_in(lane, door, metrics, queue)
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: {line.queue for line in told(kafka)} == {*queues}, what="a line of each")
        end.set()
    await door.close()
    assert max(door.listed) <= QUEUES_A_READ
