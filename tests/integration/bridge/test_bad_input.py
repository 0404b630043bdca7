"""Whatever an app, or somebody beside it, writes: told, dead-lettered or left out, counted, and never a stop."""

import json
import random
import string
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.kafka_reader import Records

MB = 1024 * 1024
CANARY = "canary-91c4e2"
ODD_QUEUES = [
    "דואר נכנס",
    "with space",
    "100%25",
    "a/b//c",
    "<script>",
    "quote'\"",
    "emoji🚀",
    "tab\there",
    "..",
    "x" * 500,
]
ODD_JOBS = ["a:b:c", "דואר 1", "50%25", "x//y/", "<img src=x>", "🚀", "with space", "\n", "events", "meta", "y" * 3000]


async def relayed(bridge: Bridge, queue: str, job_id: str) -> Records:
    async def is_there() -> bool:
        return any(event.job_id == job_id for event in (await bridge.records()).of_queue(queue))

    await eventually(is_there, what=f"{job_id} of {queue}")
    return await bridge.records()


async def test_entries_of_any_shape_never_stop_the_queue(bridge: Bridge, app: Any) -> None:
    await make_queue(app, "mail")
    stream = "bull:mail:events"
    await app.xadd(stream, {"jobId": "1", "password": CANARY})
    await app.xadd(stream, {"event": ""})
    await app.xadd(stream, {b"\xff\xfe": b"\x00\xff", "event": b"\xffodd", "jobId": b"\xfe1"})
    await app.xadd(stream, {"event": "acme:shipped", "jobId": "2", "to": "x", "token": CANARY})
    await app.xadd(stream, {"event": "failed"})
    await app.xadd(stream, {"event": "delayed", "jobId": "3", "delay": "1e999"})
    await app.xadd(stream, {"event": "retries-exhausted", "jobId": "3", "attemptsMade": "NaN"})
    await app.xadd(stream, {"event": "active", "jobId": "\ud83d\ude00".encode("utf-16", "surrogatepass")})
    await app.xadd(stream, {f"field-{number}": "v" * 1000 for number in range(500)} | {"event": "many"})
    await bridge.start()
    await add_events(app, "mail", 1, first=99)
    records = await relayed(bridge, "mail", "job-99")

    assert [event.event for event in records.jobs] == [
        "�odd",
        "acme:shipped",
        "failed",
        "delayed",
        "retries-exhausted",
        "active",
        "many",
        "added",
    ]
    assert [(letter.reason, letter.service) for letter in records.deadletter] == [
        ("a stream entry without an `event` field", "bridge")
    ] * 2
    assert records.deadletter[0].origin.startswith("redis:main:mail:")
    await bridge.has_counted(2, "bridge_dead_letters_total", queue="mail")
    assert not [topic for topic, _, value in records.raw if CANARY.encode() in value]
    assert CANARY not in bridge.log


async def test_payloads_of_5_mb_are_cut_and_hide_their_secrets(bridge: Bridge, app: Any) -> None:
    await make_queue(app, "mail")
    big = json.dumps({"first": {"cookie": [CANARY]}, "text": "x" * 5 * MB, "password": CANARY})
    stacks = json.dumps(
        [f"Error: {'m' * 5 * MB}\n    at work (job.js:1:2)", f"Error: password={CANARY}\n    at x (y:1:2)"]
    )
    for job_id in ("1", "2"):
        await app.hset(
            f"bull:mail:{job_id}",
            mapping={
                "name": "n",
                "timestamp": 5,
                "data": big,
                "stacktrace": stacks,
                "atm": 2,
                "opts": '{"attempts":2}',
            },
        )
        await app.rpush(f"bull:mail:{job_id}:logs", "l" * 5 * MB, f"Authorization: Bearer {CANARY}")
    for fields in (
        {"event": "added", "jobId": "1", "name": "n" * 5 * MB},
        {"event": "active", "jobId": "1"},
        {"event": "progress", "jobId": "1", "data": big},
        {"event": "completed", "jobId": "1", "returnvalue": big},
        {"event": "added", "jobId": "2", "name": "n"},
        {"event": "active", "jobId": "2"},
        {"event": "failed", "jobId": "2", "failedReason": f"token={CANARY} " + "r" * 5 * MB},
        {"event": "acme", "jobId": "2", "other": big},
    ):
        await app.xadd("bull:mail:events", fields)
    await bridge.start()
    await add_events(app, "mail", 1, first=99)
    records = await relayed(bridge, "mail", "job-99")

    by_event = {event.event: event for event in records.jobs}
    assert "[cut, " in by_event["completed"].result
    assert "[cut, " in by_event["progress"].progress
    assert "[cut, " in by_event["failed"].error
    assert "[cut, " in by_event["acme"].data
    assert sum("[cut, " in line.message for line in records.logs) == 2
    assert len(records.logs) == 4
    assert max(len(value) for _, _, value in records.raw) < 100_000
    assert not [topic for topic, _, value in records.raw if CANARY.encode() in value]
    assert CANARY not in bridge.log
    assert records.deadletter == []


async def test_big_entries_are_read_few_at_a_time(bridge: Bridge, app: Any) -> None:
    """200 MB of results: what the bridge holds follows their size, not their number."""
    await make_queue(app, "mail")
    big = json.dumps("x" * 2 * MB)
    for number in range(100):
        await app.xadd("bull:mail:events", {"event": "completed", "jobId": str(number), "returnvalue": big})
    await bridge.start()
    await add_events(app, "mail", 1, first=9999)
    records = await relayed(bridge, "mail", "job-9999")

    assert sum("[cut, " in event.result for event in records.jobs) == 100
    assert bridge.peak_bytes < 300 * MB


@pytest.mark.parametrize("what", ["data", "log lines"])
async def test_big_jobs_are_read_few_at_a_time(bridge: Bridge, app: Any, what: str) -> None:
    """300 MB behind small entries, after many small jobs: what the bridge holds follows bytes, not numbers."""
    bridge.environ["KAFKA_PARTITIONS"] = "1"
    await make_queue(app, "mail")
    big = {"data": json.dumps("x" * 2 * MB)} if what == "data" else {}
    for number in range(150):
        await app.hset(f"bull:mail:{number}", mapping={"name": "n", "timestamp": 5, "opts": "{}", **big})
        if what == "log lines":
            await app.rpush(f"bull:mail:{number}:logs", *["x" * (MB // 10)] * 20)
    await add_events(app, "mail", 3000, first=1000)
    await bridge.start()
    await relayed(bridge, "mail", "job-3999")
    pipe = app.pipeline(transaction=True)
    for event in ("added", "failed"):
        for number in range(150):
            pipe.xadd("bull:mail:events", {"event": event, "jobId": number, "name": "n", "failedReason": "no"})
    await pipe.execute()
    await add_events(app, "mail", 1, first=9999)
    records = await relayed(bridge, "mail", "job-9999")

    told = [(event.event, event.job_id) for event in records.jobs]
    assert told[3000:-1] == [(event, str(number)) for event in ("added", "failed") for number in range(150)]
    if what == "data":
        assert sum("[cut, " in event.data for event in records.jobs) == 150
    else:
        assert sum("[cut, " in line.message for line in records.logs) == 150 * 20
        assert len({line.id for line in records.logs}) == len(records.logs)
    assert bridge.peak_bytes < 300 * MB


async def test_endless_job_id_stops_nothing(bridge: Bridge, app: Any) -> None:
    """3 MB of it, of which not even a compressed cursor could be made."""
    endless = random.Random(3).randbytes(1_500_000).hex()
    await make_queue(app, "mail")
    for fields in (
        {"event": "waiting", "prev": "failed"},
        {"event": "active"},
        {"event": "failed", "failedReason": "no"},
    ):
        await app.xadd("bull:mail:events", {**fields, "jobId": endless})
    await bridge.start()
    await add_events(app, "mail", 1)
    records = await relayed(bridge, "mail", "job-0")

    assert [event.event for event in records.jobs] == ["waiting", "active", "failed", "added"]
    assert len({event.job_id for event in records.jobs}) == 2
    assert await bridge.metric("bridge_partition_restarts_total") == 0


async def test_odd_names_come_through_whole(bridge: Bridge, app: Any) -> None:
    for queue in ODD_QUEUES:
        await make_queue(app, queue)
    for job_id in ODD_JOBS:
        await app.xadd("bull:a/b//c:events", {"event": "added", "jobId": job_id, "name": "n"})
        if job_id not in ("events", "meta"):
            await app.hset(f"bull:a/b//c:{job_id}", mapping={"name": "n", "timestamp": 7, "opts": "{}"})
            await app.rpush(f"bull:a/b//c:{job_id}:logs", "line")
        await app.xadd("bull:a/b//c:events", {"event": "failed", "jobId": job_id, "failedReason": "no"})
    for queue in ODD_QUEUES:
        await add_events(app, queue, 1)
    await bridge.start()
    for queue in ODD_QUEUES:
        await relayed(bridge, queue, "job-0")

    records = await bridge.records()
    events = records.of_jobs()
    for job_id in ODD_JOBS[:-1]:
        told = events["a/b//c", job_id]
        assert [(event.event, event.enriched) for event in told] == [
            (event, job_id not in ("events", "meta")) for event in ("added", "failed")
        ], job_id
    assert {line.job_id for line in records.logs} >= set(ODD_JOBS[:-1]) - {"events", "meta"}
    long = [event.job_id for event in records.jobs if event.job_id.startswith("yyy")]
    assert len(long) == 2
    assert long[0] == long[1]
    assert len(long[0].encode()) <= 1024

    async def is_counted() -> bool:
        return {snapshot.queue for snapshot in (await bridge.records()).queues} >= set(ODD_QUEUES)

    await eventually(is_counted, what="a snapshot of each queue")


async def test_keys_of_another_type_stop_nobody_else(bridge: Bridge, app: Any) -> None:
    """All queues in one lane: one partition."""
    bridge.environ["KAFKA_PARTITIONS"] = "1"
    await app.set("bull:meta-is-text:meta", "no hash")
    await add_events(app, "meta-is-text", 1)
    await make_queue(app, "events-is-text")
    await app.set("bull:events-is-text:events", "no stream")
    await make_queue(app, "wait-is-text")
    await app.set("bull:wait-is-text:wait", "no list")
    await app.set(b"bull:\xff\xfe:meta", "no name")
    await app.set("bull::relay:meta", "BullMQ's own")
    await make_queue(app, "good")
    await app.set("bull:good:text", "no hash")
    await app.hset("bull:good:text:logs", "no", "list")
    await app.xadd("bull:good:events", {"event": "failed", "jobId": "text", "failedReason": "no"})
    await bridge.start()
    await add_events(app, "good", 1)
    await relayed(bridge, "good", "job-0")
    await relayed(bridge, "meta-is-text", "job-0")
    await add_events(app, "wait-is-text", 1)
    await relayed(bridge, "wait-is-text", "job-0")

    async def is_counted() -> bool:
        records = await bridge.records()
        return {snapshot.queue for snapshot in records.queues} == {"good", "events-is-text"}

    await eventually(is_counted, what="snapshots of the good queues")
    assert await bridge.metric("bridge_queues_refused", source="main") == 1
    assert await bridge.metric("bridge_queues_unnamed", source="main") == 1
    assert bridge.log.count("queues_left_out") == 1
    assert await bridge.metric("bridge_snapshots_refused_total", source="main") > 0

    await app.delete("bull:events-is-text:events")
    await add_events(app, "events-is-text", 1)
    await add_events(app, "good", 1, first=1)
    await relayed(bridge, "good", "job-1")
    records = await relayed(bridge, "events-is-text", "job-0")
    assert [event.event for event in records.of_queue("events-is-text")] == ["added"]
    assert await bridge.metric("bridge_queues_refused", source="main") == 0
    assert await bridge.metric("bridge_source_errors_total", source="main") == 0


async def test_hash_that_is_gone_is_told_and_counted(bridge: Bridge, app: Any) -> None:
    await make_queue(app, "mail")
    await bridge.start()
    for fields in (
        {"event": "added", "jobId": "1", "name": "send"},
        {"event": "active", "jobId": "1"},
        {"event": "waiting", "jobId": "1", "prev": "active"},
        {"event": "active", "jobId": "1"},
        {"event": "failed", "jobId": "1", "failedReason": "why", "prev": "active"},
    ):
        await app.xadd("bull:mail:events", fields)
    await add_events(app, "mail", 1, first=9)
    events = (await relayed(bridge, "mail", "job-9")).of_queue("mail")[:5]

    assert [(event.attempt, str(event.state), event.error, event.job_name, event.enriched) for event in events] == [
        (0, "waiting", "", "send", False),
        (1, "active", "", "send", False),
        (1, "retrying", "", "send", False),
        (2, "active", "", "send", False),
        (2, "failed", "why", "send", False),
    ]
    await bridge.has_counted(6, "bridge_events_unenriched_total", queue="mail")


@pytest.mark.parametrize("beginning", [["added"], []], ids=["added in the same batch", "added before"])
async def test_long_log_is_told_whole_and_in_order(bridge: Bridge, app: Any, beginning: list[str]) -> None:
    """More lines than one read brings, found at the job's end."""
    await make_queue(app, "mail")
    await app.hset("bull:mail:1", mapping={"name": "n", "timestamp": 7, "opts": "{}", "atm": 1, "finishedOn": 9})
    await app.hset("bull:mail:1", "returnvalue", "1")
    letters = string.ascii_letters
    lines = [f"{number} {letters}" for number in range(9_001)]
    await app.rpush("bull:mail:1:logs", *lines)
    for event in (*beginning, "active", "completed"):
        await app.xadd("bull:mail:events", {"event": event, "jobId": "1", "returnvalue": "1"})
    await bridge.start()
    await add_events(app, "mail", 1)
    records = await relayed(bridge, "mail", "job-0")

    assert [event.event for event in records.jobs] == [*beginning, "active", "completed", "added"]
    assert [line.message for line in records.logs] == lines
    assert [line.line for line in records.logs] == list(range(9_001))


async def test_lines_written_after_a_retry_by_hand_follow_those_before(bridge: Bridge, app: Any) -> None:
    """Also when the bridge was replaced in between: it remembers in Kafka how far it told the job's log."""
    await make_queue(app, "mail")
    await app.hset("bull:mail:1", mapping={"name": "n", "timestamp": 7, "opts": "{}", "atm": 1, "failedReason": "x"})
    await app.rpush("bull:mail:1:logs", "one", "two")
    for fields in (
        {"event": "added", "jobId": "1", "name": "n"},
        {"event": "active", "jobId": "1"},
        {"event": "failed", "jobId": "1", "failedReason": "x", "prev": "active"},
    ):
        await app.xadd("bull:mail:events", fields)
    await add_events(app, "mail", 1)
    await bridge.start()
    await relayed(bridge, "mail", "job-0")
    await bridge.stop()
    await app.xadd("bull:mail:events", {"event": "waiting", "jobId": "1", "prev": "failed"})
    await app.xadd("bull:mail:events", {"event": "active", "jobId": "1"})
    await app.rpush("bull:mail:1:logs", "three")
    await app.hset("bull:mail:1", mapping={"atm": 2, "returnvalue": "1", "finishedOn": 9})
    await app.xadd("bull:mail:events", {"event": "completed", "jobId": "1", "returnvalue": "1", "prev": "active"})
    await add_events(app, "mail", 1, first=1)
    await bridge.start()
    records = await relayed(bridge, "mail", "job-1")

    assert [(line.line, line.message) for line in records.logs] == [(0, "one"), (1, "two"), (2, "three")]
    ends = [(event.event, event.attempt) for event in records.jobs if event.event in ("failed", "completed")]
    assert ends == [("failed", 1), ("completed", 2)]
