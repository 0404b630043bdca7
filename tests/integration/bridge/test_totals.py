"""Totals and durations of jobs equal what real BullMQ did; what was there before Tocsin counts nowhere."""

from collections import Counter
from typing import Any

import pytest

from tests.bullmq.driver import Major, run_workload, silent
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.truth import has_ended

QUEUES = ["mail", "gone"]


@pytest.mark.parametrize("version", [5, 6])
async def test_totals_are_bullmqs_own(bridge: Bridge, app: Any, redis_url: str, version: Major) -> None:
    await bridge.start()
    await bridge.ready()
    truth = await run_workload(redis_url, version=version, jobs=120, queues=QUEUES, ephemeral="gone", work_ms=40)

    async def is_told() -> bool:
        return has_ended(await bridge.records(), truth)

    await eventually(is_told, what="every job's end in Kafka")
    live = [event for event in (await bridge.records()).jobs if not event.backfill]
    ends = [job.final_state for job in truth.jobs.values()]
    retried = sum(event.state == "retrying" for event in live)
    assert min(ends.count("completed"), ends.count("failed"), retried) > 0

    async def are_equal() -> bool:
        counted = [await bridge.metric(f"bridge_jobs_{word}_total") for word in ("completed", "failed", "retried")]
        return counted == [ends.count("completed"), ends.count("failed"), retried]

    await eventually(are_equal, what="totals equal to the truth")
    ran = [event for event in live if event.run_ms is not None and event.state in ("completed", "failed", "retrying")]
    ended = [event for event in ran if event.event != "retries-exhausted"]
    assert await bridge.metric("bridge_job_run_seconds_count") == len(ended)
    assert await bridge.metric("bridge_job_run_seconds_sum") == pytest.approx(sum(e.run_ms or 0 for e in ended) / 1000)
    streams = {queue: await entries(app, queue) for queue in QUEUES}
    waits = [wait for stream in streams.values() for wait in waits_of(stream)]
    assert await bridge.metric("bridge_job_wait_seconds_count") == len(waits)
    assert await bridge.metric("bridge_job_wait_seconds_sum") == pytest.approx(sum(waits) / 1000)
    # Of a job removed as it ended nobody may know when it was added.
    totals = [at - truth.jobs["mail", job].added for at, word, job in streams["mail"] if word == "completed"]
    assert await bridge.metric("bridge_job_total_seconds_count", queue="mail") == len(totals)
    assert await bridge.metric("bridge_job_total_seconds_sum", queue="mail") == pytest.approx(sum(totals) / 1000)
    words = Counter(word for stream in streams.values() for _, word, _ in stream)
    assert words["added"] == len(truth.jobs)
    assert min(words["waiting"], words["delayed"]) > 0
    for word in ("added", "waiting", "delayed"):
        assert await bridge.metric(f"bridge_jobs_{word}_total") == words[word], word


async def entries(app: Any, queue: str) -> list[tuple[int, str, str]]:
    """The queue's stream as BullMQ wrote it: of each entry its time (ms), its word and its job."""
    return [
        (int(entry_id.partition(b"-")[0]), fields[b"event"].decode(), fields.get(b"jobId", b"").decode())
        for entry_id, fields in await app.xrange(f"bull:{queue}:events")
    ]


def waits_of(stream: list[tuple[int, str, str]]) -> list[int]:
    """How long each run of a job had to wait for a worker, ms."""
    since: dict[str, int] = {}
    waits: list[int] = []
    for at, word, job_id in stream:
        if word == "waiting":
            since[job_id] = at
        elif word == "active":
            waits.append(at - since.pop(job_id))
    return waits


async def test_what_was_there_before_counts_nowhere(bridge: Bridge, redis_url: str) -> None:
    truth = await run_workload(redis_url, version=6, jobs=40, queues=["mail"])
    await bridge.start()

    async def is_told() -> bool:
        return has_ended(await bridge.records(), truth)

    await eventually(is_told, what="the backfill in Kafka")

    async def is_counted() -> bool:
        return await bridge.metric("bridge_events_relayed_total") == len((await bridge.records()).jobs)

    await eventually(is_counted, what="the backfill counted as relayed")
    for word in ("added", "completed", "failed", "retried"):
        assert await bridge.metric(f"bridge_jobs_{word}_total") == 0
    assert not await bridge.samples("bridge_job_run_seconds_count")

    async def is_polled() -> bool:
        return (await bridge.records()).newest("mail") is not None

    await eventually(is_polled, what="the queue's first snapshot")
    newest = (await bridge.records()).newest("mail")
    assert newest is not None
    assert (newest.completed_per_minute, newest.failed_per_minute) == (None, None)


async def test_a_minutes_throughput_is_known_once_a_minute_was_followed(bridge: Bridge, redis_url: str) -> None:
    await bridge.start()
    await bridge.ready()
    await silent(redis_url, "mail", "add", count=1)
    await silent(redis_url, "mail", "finish", count=1)

    async def throughput() -> tuple[int | None, int | None]:
        newest = (await bridge.records()).newest("mail")
        return (newest.completed_per_minute, newest.failed_per_minute) if newest is not None else (None, None)

    async def is_told(completed: int, failed: int) -> bool:
        return await throughput() == (completed, failed)

    await eventually(lambda: is_told(0, 0), what="a minute without an end")
    await silent(redis_url, "mail", "add", count=5)
    await silent(redis_url, "mail", "finish", count=3)
    await silent(redis_url, "mail", "fail", count=2)
    await eventually(lambda: is_told(3, 2), what="three completed and two failed a minute")
