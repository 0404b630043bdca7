"""Jobs that run, and no entry tells of it: whose logs are followed, and until when."""

import time
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.lanes import Kafka, lane_reading
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
