"""Since when the job waits that has waited longest: by what Redis itself has of it, to the millisecond."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.memory import Memories
from bridge.sources.bullmq.snapshots.queues import read_snapshots
from bridge.sources.bullmq.snapshots.waiting import Waits
from bridge.sources.bullmq.snapshots.workers import Workers
from bridge.sources.bullmq.translate import Place
from tests.bullmq.driver import Major, make_waiting
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge
from tests.lanes import Kafka, lane_on, new_metrics, read_in
from tocsin.events import QueueSnapshot

TRIED_OR_MOVED = {"promoted", "retried-at-once", "retried-with-backoff", "retried-by-hand", "parent"}
"""Their hashes do not say since when they wait."""

HIDDEN = {"between-both"}
"""It stands at no end of a list."""


@asynccontextmanager
async def read_by_a_lane(
    door: Door, queues: Iterable[str], entries: int, *, reconcile_seconds: float = 20
) -> AsyncGenerator[Memories]:
    """What a lane remembers of the queues' jobs, once it has read so many entries."""
    kafka, metrics, end = Kafka(), new_metrics(), asyncio.Event()
    lane = lane_on(door, kafka.outbox, metrics, reconcile_seconds=reconcile_seconds)
    memories = {queue: read_in(lane, door, metrics, queue) for queue in queues}
    async with asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: len(kafka.events) >= entries, what="all entries")
        yield memories
        end.set()


async def look(door: Door, queues: Iterable[str], waits: Waits) -> dict[str, QueueSnapshot]:
    places = [Place("prod", "main", queue) for queue in queues]
    return {one.queue: one for one in await read_snapshots(door, "bull", places, Workers("bull"), waits, len(places))}


def since(told: QueueSnapshot) -> int | None:
    """The moment a snapshot counts from, ms."""
    age = told.oldest_waiting_seconds
    return None if age is None else told.ts - round(age * 1000)


async def became_ready(app: Any, queue: str, job_id: str) -> int:
    """The time of the job's last `waiting` event, by Redis's clock."""
    entries = await app.xrevrange(f"bull:{queue}:events")
    ready = (
        entry for entry, fields in entries if (fields[b"event"], fields[b"jobId"]) == (b"waiting", job_id.encode())
    )
    return int(next(ready).split(b"-")[0])


async def was_due(app: Any, queue: str, job_id: str) -> int:
    """When the job was to be ready, by its hash and its id."""
    added, options = await app.hmget(f"bull:{queue}:{job_id}", "timestamp", "opts")
    return int(job_id.rpartition(":")[2]) if ":" in job_id else int(added) + json.loads(options).get("delay", 0)


@pytest.mark.parametrize("version", [6, 5])
async def test_job_waits_from_its_waiting_event_wherever_it_stands(app: Any, redis_url: str, version: Major) -> None:
    made, door = await make_waiting(redis_url, version=version), Door(redis_url)
    entries = sum([await app.xlen(f"bull:{queue}:events") for queue in made])
    async with read_by_a_lane(door, made, entries) as memories:
        told = await look(door, made, Waits(memories))
    await door.close()

    expected = {queue: await became_ready(app, queue, job_id) for queue, job_id in made.items()}
    assert {queue: since(one) for queue, one in told.items()} == expected


async def test_snapshots_of_a_bridge_count_from_the_events_it_read(app: Any, redis_url: str, bridge: Bridge) -> None:
    made = await make_waiting(redis_url, version=6)
    await bridge.start()
    expected = {queue: await became_ready(app, queue, job_id) for queue, job_id in made.items()}

    async def are_told() -> bool:
        records = await bridge.records()
        told = {queue: records.newest(queue) for queue in made}
        return {queue: since(one) for queue, one in told.items() if one is not None} == expected

    await eventually(are_told, what="the moments they became ready")


@pytest.mark.parametrize("version", [6, 5])
async def test_bridge_that_saw_no_event_tells_what_hashes_say_or_what_it_saw_itself(
    app: Any, redis_url: str, version: Major
) -> None:
    made, door, waits = await make_waiting(redis_url, version=version), Door(redis_url), Waits({})
    first = await look(door, made, waits)
    await eventually(lambda: door.now_ms() > max(one.ts for one in first.values()), what="another millisecond")
    told = await look(door, made, waits)
    later = await look(door, made, Waits({}))
    await door.close()

    unsaid = {queue: first[queue].ts for queue in TRIED_OR_MOVED}
    said = {queue: await was_due(app, queue, made[queue]) for queue in made.keys() - TRIED_OR_MOVED - HIDDEN}
    assert {queue: since(told[queue]) for queue in made.keys() - HIDDEN} == {**unsaid, **said}
    assert all(since(later[queue]) == later[queue].ts for queue in TRIED_OR_MOVED), "another bridge knows nothing of it"


async def test_job_that_ran_since_the_last_event_read_does_not_count_from_it(app: Any, redis_url: str) -> None:
    """The lane is behind: it knows only that the job was added."""
    door = Door(redis_url)
    await app.xadd("bull:mail:events", {"event": "added", "jobId": "1", "name": "send"}, id="1000-0")
    await app.xadd("bull:mail:events", {"event": "waiting", "jobId": "1"}, id="1000-1")
    await app.hset("bull:mail:1", mapping={"name": "send", "timestamp": 1000, "opts": "{}"})
    await app.hset("bull:mail:meta", "opts.maxLenEvents", 10000)
    await app.lpush("bull:mail:wait", "1")
    async with read_by_a_lane(door, ["mail"], 2) as memories:
        waits = Waits(memories)
        assert since((await look(door, ["mail"], waits))["mail"]) == 1000
        await app.hset("bull:mail:1", mapping={"ats": 1, "atm": 1, "processedOn": 5000})
        told = (await look(door, ["mail"], waits))["mail"]
        assert since(told) == told.ts
    await door.close()


async def test_job_that_was_drained_unseen_is_forgotten(app: Any, redis_url: str) -> None:
    door = Door(redis_url)
    for number in (1, 2):
        await app.xadd("bull:mail:events", {"event": "added", "jobId": number, "name": "send"}, id=f"{number}000-0")
        await app.hset(f"bull:mail:{number}", mapping={"name": "send", "timestamp": 1000 * number, "opts": "{}"})
    await app.lpush("bull:mail:wait", 1, 2)
    async with read_by_a_lane(door, ["mail"], 2) as memories:
        await app.delete("bull:mail:1")
        await app.rpop("bull:mail:wait")
        told = (await look(door, ["mail"], Waits(memories)))["mail"]
        assert since(told) == 2000
        assert memories["mail"].longest_waiting == "2"
    await door.close()


async def test_job_found_to_be_delayed_waits_no_more(app: Any, redis_url: str) -> None:
    """Somebody moved it by hand: no event tells."""
    door = Door(redis_url)
    await app.xadd("bull:mail:events", {"event": "added", "jobId": 1, "name": "send"}, id="1000-0")
    await app.hset("bull:mail:1", mapping={"name": "send", "timestamp": 1000, "opts": "{}"})
    await app.rpush("bull:mail:wait", 1)
    async with read_by_a_lane(door, ["mail"], 1, reconcile_seconds=0.3) as memories:
        assert memories["mail"].longest_waiting == "1"
        async with app.pipeline() as move:
            await move.lrem("bull:mail:wait", 0, 1).zadd("bull:mail:delayed", {"1": 9e15}).execute()
        await eventually(lambda: memories["mail"].longest_waiting is None, what="what the lists say")
    await door.close()
