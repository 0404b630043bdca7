"""A stream whose last entries a failover has lost, and one begun anew that looks as if it had only been trimmed."""

from collections.abc import Callable
from typing import Any

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.lanes import Kafka, lane_reading
from tocsin.events import JobEvent

STREAM = "bull:mail:events"


def told(kafka: Kafka) -> list[JobEvent]:
    return [event for event in kafka.events if event.event in ("added", "stream-reset", "gap")]


def until(kafka: Kafka, job_id: str) -> Callable[[], bool]:
    return lambda: bool(kafka.of(job_id))


async def test_stream_cut_short_by_a_failover_is_gone_on_with(app: Any, redis_url: str) -> None:
    """Nothing is told again; what the new primary adds is news, also where its clock is behind the old one's.

    A second failover soon after is no other, and nor is one after which more came than one read brings.
    """
    kafka = Kafka()
    await make_queue(app, "mail")
    ids = await add_events(app, "mail", 40)
    async with lane_reading(redis_url, kafka, "mail"):
        await eventually(until(kafka, "job-39"), what="what was there")
        kept = await app.dump(STREAM)
        ids += await add_events(app, "mail", 5, first=40)
        await eventually(until(kafka, "job-44"), what="entries that will be lost")
        pipe = app.pipeline(transaction=True)
        pipe.restore(STREAM, 0, kept, replace=True)
        ms, _, sequence = ids[39].partition("-")
        behind = f"{ms}-{int(sequence) + 1}"
        pipe.xadd(STREAM, {"event": "added", "jobId": "behind", "name": "send"}, id=behind)
        await pipe.execute()
        await eventually(until(kafka, "behind"), what="an event by a clock that is behind")
        await add_events(app, "mail", 1, first=99)
        await eventually(until(kafka, "job-99"), what="an event after that")
        kept = await app.dump(STREAM)
        await add_events(app, "mail", 3, first=100)
        await eventually(until(kafka, "job-102"), what="entries that will be lost")
        pipe = app.pipeline(transaction=True)
        pipe.restore(STREAM, 0, kept, replace=True)
        for number in range(100):
            pipe.xadd(STREAM, {"event": "added", "jobId": f"later-{number}", "name": "send"})
        await pipe.execute()
        await eventually(until(kafka, "later-99"), what="all that came after it")
    events = told(kafka)
    first = [*(f"job-{at}" for at in range(45)), "", "behind", "job-99", "job-100", "job-101", "job-102"]
    assert [event.job_id for event in events] == [*first, "", *(f"later-{number}" for number in range(100))]
    assert not any(event.backfill for event in events[40:] if event.event == "added")
    assert [event.epoch for event in events] == [1] * 45 + [2] * 6 + [3] * 101
    assert "a failover lost the last entries" in events[45].message
    assert "a failover lost the last entries" in events[51].message
    assert sum(event.lost for event in events) == 0


async def test_stream_begun_anew_and_trimmed_beyond_the_position_is_known_by_its_queues_counter(
    app: Any, redis_url: str
) -> None:
    kafka = Kafka()
    await make_queue(app, "mail", max_len=100)
    await app.set("bull:mail:id", 50)
    async with lane_reading(redis_url, kafka, "mail"):
        await add_events(app, "mail", 50)
        await eventually(until(kafka, "job-49"), what="the events of the first queue")
        pipe = app.pipeline(transaction=True)
        pipe.delete(STREAM)
        pipe.set("bull:mail:id", 30)
        for number in range(300):
            fields = {"event": "added", "jobId": f"new-{number}", "name": "send"}
            pipe.xadd(STREAM, fields, maxlen=100, approximate=False)
        await pipe.execute()
        await eventually(until(kafka, "new-299"), what="the events of the second")
    events = told(kafka)[50:]
    assert [(event.event, event.epoch, event.lost) for event in events[:2]] == [("stream-reset", 2, 0), ("gap", 2, 200)]
    assert [event.job_id for event in events[2:]] == [f"new-{number}" for number in range(200, 300)]
