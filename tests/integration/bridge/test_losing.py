"""What a gap swallowed is told in the end: by a queue that goes on losing, and by a Kafka that is too slow to ask."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from bridge.sources.bullmq.gaps import mender as gaps
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.lanes import Kafka, lane_reading
from tocsin.events import LogLine, decode


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    """With gaps that are past soon, and tried again soon."""
    monkeypatch.setattr(gaps, "SKEW_MS", 200)
    monkeypatch.setattr("bridge.sources.bullmq.gaps.mending.AGAIN_SECONDS", 0.5)
    return Kafka()


async def run_job(app: Any, queue: str, job_id: str, *events: str, ended: str = "", **hashed: object) -> None:
    now = int(time.time() * 1000)
    job = {"name": "send", "opts": "{}", "data": "{}", "timestamp": now, "ats": 1, **hashed}
    if ended:
        job |= {"atm": 1, "finishedOn": now, "processedOn": now, "pb": "w1", "failedReason": ended}
        await app.zadd(f"bull:{queue}:failed", {job_id: now})
    await app.hset(f"bull:{queue}:{job_id}", mapping=job)
    for event in events:
        await app.xadd(f"bull:{queue}:events", {"event": event, "jobId": job_id, "name": "send"})


async def lose(app: Any, queue: str, number: int) -> None:
    """More entries than the stream keeps, of which the reader may have read none."""
    await add_events(app, queue, 60, max_len=10, first=number)


def has(kafka: Kafka, job_id: str, *events: str) -> Callable[[], bool]:
    return lambda: [event.event for event in kafka.of(job_id)][-len(events) :] == list(events)


async def test_queue_that_goes_on_losing_is_mended_and_compared_all_the_same(
    app: Any, redis_url: str, kafka: Kafka
) -> None:
    await make_queue(app, "mail", max_len=10)
    async with lane_reading(redis_url, kafka, "mail"):
        await run_job(app, "mail", "gone", "added", "active")
        await eventually(has(kafka, "gone", "added", "active"), what="a job that runs")
        await app.delete("bull:mail:gone")
        await run_job(app, "mail", "lost", ended="boom")
        number = 0

        async def is_told() -> bool:
            nonlocal number
            number += 60
            await lose(app, "mail", number)
            return bool(kafka.of("lost")) and has(kafka, "gone", "reconciled")()

        await eventually(is_told, what="a lost failure, and a silent end")
    assert sum(event.event == "gap" for event in kafka.events) > 1
    assert [event.event for event in kafka.of("lost")][-2:] == ["failed", "retries-exhausted"]
    assert kafka.of("gone")[-1].state == "removed"


async def test_job_added_in_a_gap_is_told_though_the_queue_is_compared_before_that_is_mended(
    app: Any, redis_url: str, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.sources.bullmq.gaps.mending.AGAIN_SECONDS", 3.0)
    await make_queue(app, "mail", max_len=10)
    async with lane_reading(redis_url, kafka, "mail"):
        await lose(app, "mail", 0)
        await eventually(lambda: bool(kafka.of("job-59")), what="the first events")
        await run_job(app, "mail", "lost", ended="boom")
        await lose(app, "mail", 60)
        await eventually(has(kafka, "lost", "failed", "retries-exhausted"), what="the first gap mended")
        await run_job(app, "mail", "later")
        await app.lpush("bull:mail:wait", "later")
        await lose(app, "mail", 120)
        await eventually(has(kafka, "later", "added", "waiting"), what="a job that was added in the second gap")


async def test_failure_in_a_gap_is_told_though_a_retry_by_hand_began_to_count_anew(
    app: Any, redis_url: str, kafka: Kafka
) -> None:
    """With what else the gap swallowed of that run; and the one that was told is not told again."""
    for queue in ("mail", "other"):
        await make_queue(app, queue, max_len=10)
    async with lane_reading(redis_url, kafka, "mail", "other"):
        await run_job(app, "mail", "a", "added", "active", "failed", ended="first")
        await run_job(app, "mail", "told", "added", "active", "failed", ended="boom")
        await eventually(has(kafka, "told", "added", "active", "failed"), what="failures that are told")
        await asyncio.sleep(0.5)  # longer than the clocks differ here
        await run_job(app, "mail", "a", ended="second")
        for queue in ("mail", "other"):
            await lose(app, queue, 0)
        await eventually(has(kafka, "a", "failed", "retries-exhausted"), what="the lost failure")
        await eventually(lambda: bool(kafka.asked), what="Kafka asked")
    again = [event for event in kafka.of("a") if event.rebuilt]
    assert [(event.event, event.attempt, event.error) for event in again][-2:] == [
        ("failed", 1, "second"),
        ("retries-exhausted", 1, ""),
    ]
    assert [(event.worker, event.started_at is not None) for event in again if event.event == "active"] == [
        ("w1", True)
    ]
    assert [event.event for event in kafka.of("told") if event.rebuilt and event.event != "retries-exhausted"] == []


async def test_failure_is_told_with_a_mark_when_kafka_cannot_say_what_was_told(
    app: Any, redis_url: str, kafka: Kafka
) -> None:
    kafka.is_slow = True
    await make_queue(app, "mail", max_len=10)
    async with lane_reading(redis_url, kafka, "mail"):
        await lose(app, "mail", 0)
        await eventually(lambda: bool(kafka.of("job-59")), what="the first events")
        await run_job(app, "mail", "lost", ended="boom")
        await lose(app, "mail", 60)
        await eventually(has(kafka, "lost", "failed", "retries-exhausted"), what="the lost failure")
        assert len(kafka.asked) == gaps.MOST_FAILURES
        await run_job(app, "mail", "later", "added", "waiting", ended="no")
        await eventually(lambda: bool(kafka.of("later")), what="it reads on")
    assert [event.event for event in kafka.of("lost")] == ["failed", "retries-exhausted"]
    assert all("may have been told before" in event.message and event.rebuilt for event in kafka.of("lost"))


async def test_job_whose_id_was_used_again_since_is_told_without_what_is_the_later_ones(
    app: Any, redis_url: str, kafka: Kafka
) -> None:
    """Its hash and its log are gone; what is there under its id is told once, with the job it belongs to."""
    await make_queue(app, "mail")
    first, later = (int(time.time() * 1000) - ago for ago in (20_000, 10_000))
    hashed = {"name": "send", "opts": "{}", "data": "{}", "timestamp": later, "ats": 1, "atm": 1, "finishedOn": later}
    await app.hset("bull:mail:a", mapping=hashed)
    await app.rpush("bull:mail:a:logs", "one", "two")

    async def live(at: int) -> None:
        for number, event in enumerate(("added", "waiting", "active", "completed")):
            await app.xadd("bull:mail:events", {"event": event, "jobId": "a", "name": "send"}, id=f"{at}-{number}")

    async with lane_reading(redis_url, kafka, "mail"):
        await live(first)
        await eventually(has(kafka, "a", "active", "completed"), what="the first life")
        assert {(event.added_at, event.max_attempts) for event in kafka.of("a")} == {(0, 0)}
        await live(later)
        await eventually(lambda: kafka.of("a")[-1].added_at == later, what="the later one")
    lines = [decode(LogLine, record.value or b"") for record in kafka.records if record.topic == "t.logs"]
    assert [(line.message, line.added_at) for line in lines] == [("one", later), ("two", later)]


async def test_job_with_a_number_of_bullmqs_own_is_believed_of_a_host_whose_clock_is_ahead(
    app: Any, redis_url: str, kafka: Kafka
) -> None:
    """Also of what was there before: such an id is given once."""
    await make_queue(app, "mail")
    began = int(time.time() * 1000) - 20_000
    ahead = began + 10_000
    hashed = {"name": "send", "opts": "{}", "data": "{}", "timestamp": ahead, "ats": 1, "atm": 1, "finishedOn": ahead}
    await app.hset("bull:mail:7", mapping=hashed)
    await app.rpush("bull:mail:7:logs", "one")
    for number, event in enumerate(("added", "waiting", "active", "completed")):
        await app.xadd("bull:mail:events", {"event": event, "jobId": "7", "name": "send"}, id=f"{began}-{number}")
    async with lane_reading(redis_url, kafka, "mail"):
        await eventually(has(kafka, "7", "completed"), what="its end")
    assert {(event.added_at, event.enriched) for event in kafka.of("7")} == {(ahead, True)}
    lines = [decode(LogLine, record.value or b"") for record in kafka.records if record.topic == "t.logs"]
    assert [line.message for line in lines] == ["one"]


async def test_hash_of_a_later_job_with_the_same_id_tells_nothing_of_a_job_that_is_known(
    app: Any, redis_url: str, kafka: Kafka
) -> None:
    """However little later it was added."""
    await make_queue(app, "mail")
    async with lane_reading(redis_url, kafka, "mail"):
        await run_job(app, "mail", "a", "added", "active")
        await eventually(has(kafka, "a", "added", "active"), what="a job that runs")
        first = kafka.of("a")[0].added_at
        async with app.pipeline(transaction=True) as at_once:
            at_once.hset("bull:mail:a", mapping={"name": "call", "timestamp": first + 1, "ats": 3, "atm": 3})
            at_once.xadd("bull:mail:events", {"event": "failed", "jobId": "a", "failedReason": "boom"})
            await at_once.execute()
        await eventually(has(kafka, "a", "failed"), what="its end")
    end = kafka.of("a")[-1]
    assert (end.job_name, end.added_at, end.attempt, end.error, end.enriched) == ("send", first, 1, "boom", False)


async def test_job_whose_id_was_used_again_in_a_gap_is_told_as_what_it_is_now(
    app: Any, redis_url: str, kafka: Kafka
) -> None:
    await make_queue(app, "mail", max_len=10)
    first, later = (int(time.time() * 1000) - ago for ago in (20_000, 10_000))
    async with lane_reading(redis_url, kafka, "mail"):
        await run_job(app, "mail", "a", "added", "active", timestamp=first)
        await eventually(has(kafka, "a", "added", "active"), what="the first life")
        await app.delete("bull:mail:a")
        async with app.pipeline(transaction=True) as at_once:
            await add_events(app, "mail", 60, max_len=10)
            hashed = {"name": "call", "opts": "{}", "data": "{}", "timestamp": later, "ats": 1, "atm": 1}
            at_once.hset("bull:mail:a", mapping=hashed | {"finishedOn": int(time.time() * 1000)})
            for event in ("active", "completed"):
                at_once.xadd("bull:mail:events", {"event": event, "jobId": "a"})
            await at_once.execute()
        await eventually(has(kafka, "a", "completed"), what="the end of the later life")
    assert any(event.event == "gap" for event in kafka.events)
    assert (kafka.of("a")[-1].job_name, kafka.of("a")[-1].added_at) == ("call", later)
