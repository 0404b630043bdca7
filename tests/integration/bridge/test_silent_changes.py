"""What BullMQ does without an event of any job is told all the same, with its evidence, and nothing else is."""

from typing import Any

import pytest

from tests.bullmq.driver import Major, Silent, run_workload, silent
from tests.eventually import eventually
from tests.integration.bridge.by_hand import make_queue
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import make_reader
from tests.integration.bridge.truth import differences, has_ended
from tocsin.events import JobEvent

NOWHERE = "neither its hash nor any list of the queue holds it"


@pytest.fixture
def bridge(bridge: Bridge) -> Bridge:
    """It looks often enough for a test."""
    bridge.environ["BRIDGE_RECONCILE_SECONDS"] = "0.5"
    return bridge


async def reconciled(bridge: Bridge) -> list[JobEvent]:
    return [event for event in (await bridge.records()).jobs if event.event == "reconciled"]


async def until_told(bridge: Bridge, event: str, times: int) -> None:
    async def is_told() -> bool:
        return sum(one.event == event for one in (await bridge.records()).jobs) >= times

    await eventually(is_told, what=f"{times} × {event}")


async def last_states(bridge: Bridge) -> dict[str, str]:
    """What was told last of each job."""
    return {event.job_id: str(event.state) for event in (await bridge.records()).jobs if event.job_id}


async def until_compared(bridge: Bridge, app: Any, queue: str) -> None:
    """Wait until the bridge has compared this queue once more: it misses a bird that came and went meanwhile."""
    await app.hset(f"bull:{queue}:bird", mapping={"name": "send", "timestamp": 1, "opts": "{}", "data": "{}"})
    await app.lpush(f"bull:{queue}:wait", "bird")
    await app.xadd(f"bull:{queue}:events", {"event": "added", "jobId": "bird", "name": "send"})

    async def is_seen(state: str) -> bool:
        return (await last_states(bridge)).get("bird") == state

    await eventually(lambda: is_seen("waiting"), what="the bird")
    pipe = app.pipeline(transaction=True)
    pipe.delete(f"bull:{queue}:bird")
    pipe.lrem(f"bull:{queue}:wait", 0, "bird")
    await pipe.execute()
    await eventually(lambda: is_seen("removed"), what="the bird missed")


OBLITERATED = "the queue's stream was begun anew and the job's hash is gone"


@pytest.mark.parametrize(
    ("version", "make", "change", "is_killed"),
    [
        (6, "add", "drain", False),
        (6, "add", "drain", True),
        (5, "delay", "drain", False),
        (6, "delay", "drain", True),
        (6, "add", "clean", False),
        (5, "add", "clean", True),
        (6, "add", "obliterate", False),
        (6, "add", "obliterate", True),
        (5, "prioritize", "obliterate", True),
    ],
)
async def test_jobs_taken_away_are_told_to_be_removed(
    bridge: Bridge,
    app: Any,
    redis_url: str,
    version: Major,
    make: Silent,
    change: Silent,
    is_killed: bool,
) -> None:
    await bridge.start()
    await bridge.ready()
    ids = await silent(redis_url, "mail", make, version=version)
    await until_told(bridge, "delayed" if make == "delay" else "waiting", 3)
    if is_killed:
        await bridge.kill()
    await silent(redis_url, "mail", change, version=version)
    if is_killed:
        await bridge.start()
    await until_told(bridge, "reconciled", 3)
    if change != "obliterate":
        await until_compared(bridge, app, "mail")

    told = [event for event in await reconciled(bridge) if event.job_id != "bird"]
    assert sorted(event.job_id for event in told) == sorted(ids)
    added = {event.job_id: event.added_at for event in (await bridge.records()).jobs if event.event == "added"}
    for event in told:
        assert (event.state, event.level, event.job_name) == ("removed", "info", "send")
        assert event.prev == ("delayed" if make == "delay" else "waiting")
        assert event.added_at == added[event.job_id] > 0
        assert event.id.startswith(f"main:mail:{event.epoch}:c:{event.job_id}:{event.added_at}:removed:")
        assert (OBLITERATED if change == "obliterate" else NOWHERE) in event.message


@pytest.mark.parametrize("is_killed", [False, True], ids=["running", "killed"])
async def test_no_job_stays_active_for_ever(bridge: Bridge, app: Any, redis_url: str, is_killed: bool) -> None:
    """Two run, and are taken away without a word."""
    await bridge.start()
    await bridge.ready()
    ids = await silent(redis_url, "mail", "add", count=2)
    await silent(redis_url, "mail", "take", count=2)
    await until_told(bridge, "active", 2)
    if is_killed:
        await bridge.kill()
    pipe = app.pipeline(transaction=True)
    pipe.delete("bull:mail:active", *(f"bull:mail:{job_id}" for job_id in ids))
    await pipe.execute()
    if is_killed:
        await bridge.start()
    await until_told(bridge, "reconciled", 2)
    assert await last_states(bridge) == dict.fromkeys(ids, "removed")
    assert {event.prev for event in await reconciled(bridge)} == {"active"}
    assert all("removeOnComplete" in event.message for event in await reconciled(bridge))


@pytest.mark.parametrize("version", [5, 6])
async def test_job_replaced_by_its_scheduler_is_told(bridge: Bridge, redis_url: str, version: Major) -> None:
    await bridge.start()
    await bridge.ready()
    await silent(redis_url, "mail", "schedule", version=version)
    await until_told(bridge, "added", 1)
    before = set(await last_states(bridge))
    await silent(redis_url, "mail", "replace", version=version)
    await until_told(bridge, "reconciled", 1)

    [told] = await reconciled(bridge)
    assert told.job_id in before
    assert (told.state, told.scheduler) == ("removed", "nightly")
    assert told.message.startswith("replaced by its scheduler")


@pytest.mark.parametrize(
    ("version", "make", "state", "before", "is_killed"),
    [
        (6, "prioritize", "waiting", 10, False),
        (5, "prioritize", "waiting", 10, True),
        (6, "delay", "delayed", 0, True),
        (5, "delay", "delayed", 0, False),
    ],
)
async def test_changed_priority_is_told(
    bridge: Bridge, redis_url: str, version: Major, make: Silent, state: str, before: int, is_killed: bool
) -> None:
    await bridge.start()
    await bridge.ready()
    await silent(redis_url, "mail", make, version=version)
    await until_told(bridge, state, 3)
    if is_killed:
        await bridge.kill()
    [job_id] = await silent(redis_url, "mail", "reprioritize", version=version)
    if is_killed:
        await bridge.start()
    await until_told(bridge, "reconciled", 1)

    [told] = await reconciled(bridge)
    assert (told.job_id, told.state, told.prev) == (job_id, state, state)
    assert told.message == f"its priority is now 3, was {before}"


@pytest.mark.parametrize(("version", "keep"), [(6, "true"), (6, '{"count": 1}'), (6, '{"age": 3600}'), (5, "true")])
async def test_auto_removal_of_what_ended_is_no_news(
    bridge: Bridge, app: Any, redis_url: str, version: Major, keep: str
) -> None:
    await bridge.start()
    await bridge.ready()
    ids = await silent(redis_url, "mail", "add", version=version, keep=keep)
    await silent(redis_url, "mail", "finish", version=version)
    await until_told(bridge, "completed", 3)
    await until_compared(bridge, app, "mail")
    states = await last_states(bridge)
    assert {job_id: states[job_id] for job_id in ids} == dict.fromkeys(ids, "completed")
    assert [event.job_id for event in await reconciled(bridge)] == ["bird"]


@pytest.mark.parametrize("version", [5, 6])
async def test_busy_queues_are_never_corrected_wrongly(bridge: Bridge, redis_url: str, version: Major) -> None:
    """Comparing as often as can be, over jobs that fail, wait, are retried, handed back and removed as they end."""
    bridge.environ["BRIDGE_RECONCILE_SECONDS"] = "0.05"
    await bridge.start()
    await bridge.ready()
    truth = await run_workload(
        redis_url, version=version, jobs=600, queues=["mail", "gone"], ephemeral="gone", rate=100
    )

    async def is_told() -> bool:
        return has_ended(await bridge.records(), truth)

    await eventually(is_told, what="every job's end in Kafka")
    assert await reconciled(bridge) == []
    assert differences(await bridge.records(), truth) == []


async def test_refusals_correct_nothing(bridge: Bridge, app: Any, redis_url: str) -> None:
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url)
    await bridge.start()
    await bridge.ready()
    ids = await silent(redis_url, "mail", "add")
    await until_told(bridge, "waiting", 3)
    for refused in ("-zscore", "-lrange", "-hmget"):
        await app.execute_command("ACL", "SETUSER", "bridge", refused)
    before = len(await app.acl_log())
    await silent(redis_url, "mail", "drain")

    async def is_refused() -> bool:
        return len(await app.acl_log()) > before and "command_refused" in bridge.log

    await eventually(is_refused, what="a refusal, and that it is said")
    assert "allow LRANGE" in bridge.log
    assert await reconciled(bridge) == []
    for allowed in ("+zscore", "+lrange", "+hmget"):
        await app.execute_command("ACL", "SETUSER", "bridge", allowed)
    await until_told(bridge, "reconciled", 3)
    assert sorted(event.job_id for event in await reconciled(bridge)) == sorted(ids)


async def test_job_that_stands_nowhere_is_told_to_be_unknown_once(bridge: Bridge, app: Any) -> None:
    """Somebody took it out of its list by hand; its hash is there still."""
    await make_queue(app, "mail")
    await bridge.start()
    await bridge.ready()
    await app.hset("bull:mail:7", mapping={"name": "send", "timestamp": 1, "opts": "{}", "data": "{}", "ats": 1})
    await app.lpush("bull:mail:active", "7")
    for event in ("added", "waiting", "active"):
        await app.xadd("bull:mail:events", {"event": event, "jobId": "7", "name": "send"})
    await until_told(bridge, "active", 1)
    await app.delete("bull:mail:active")
    await until_told(bridge, "reconciled", 1)
    await bridge.kill()
    await bridge.start()
    await until_compared(bridge, app, "mail")

    [told] = [event for event in await reconciled(bridge) if event.job_id == "7"]
    assert (told.state, told.prev) == ("unknown", "active")
    assert "it stands in no list or set of the queue" in told.message
