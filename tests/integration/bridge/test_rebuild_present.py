"""Of jobs that have not ended a gap loses no more than what they passed through: each is told once, as it is now."""

import signal
from collections import Counter
from typing import Any

import pytest

from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.gaps.present import rebuild_present
from bridge.sources.bullmq.gaps.told import Told
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.reconcile.open_jobs import OpenJobs
from bridge.sources.bullmq.stream import Gap, Position
from bridge.sources.bullmq.translate import Place
from tests.bullmq.driver import Major, Silent, silent
from tests.eventually import eventually
from tests.integration.bridge.by_hand import make_queue
from tests.integration.bridge.running import Bridge
from tocsin.events import JobEvent


async def until_told(bridge: Bridge, event: str, times: int = 1) -> list[JobEvent]:
    """Wait until so many records of this event are told; return everything of the queue."""

    async def is_told() -> bool:
        return sum(one.event == event for one in (await bridge.records()).of_queue("mail")) >= times

    await eventually(is_told, what=f"{times} × {event}")
    return (await bridge.records()).of_queue("mail")


@pytest.mark.parametrize(("how", "version"), [("stopped", 6), ("killed", 5)])
async def test_present_jobs_are_told_once_with_their_place(
    bridge: Bridge, app: Any, redis_url: str, how: str, version: Major
) -> None:
    bridge.environ["BRIDGE_RECONCILE_SECONDS"] = "0.5"
    await bridge.start()
    await bridge.ready()
    taken = await silent(redis_url, "mail", "add", count=2, version=version)
    await until_told(bridge, "waiting", 2)
    if how == "stopped":
        bridge.signal(signal.SIGSTOP)
    else:
        await bridge.kill()
    await silent(redis_url, "mail", "take", count=2, version=version)
    delayed = await silent(redis_url, "mail", "delay", count=2, version=version)
    prioritized = await silent(redis_url, "mail", "prioritize", count=1, version=version)
    await app.xtrim("bull:mail:events", maxlen=0, approximate=False)
    waiting = await silent(redis_url, "mail", "add", count=3, version=version)
    await app.xtrim("bull:mail:events", maxlen=4, approximate=False)  # one `added` is lost, two are read
    if how == "stopped":
        bridge.signal(signal.SIGCONT)
    else:
        await bridge.start()
    await until_told(bridge, "active", 2)
    await until_told(bridge, "delayed", 2)

    async def is_mended() -> bool:
        return "gap_rebuilt" in bridge.log

    await eventually(is_mended, what="the gap mended")
    for end in ("stop", "kill"):
        await getattr(bridge, end)()
        await bridge.start()
        await bridge.ready()
    [last] = await silent(redis_url, "mail", "add", count=1, version=version)
    events = await until_told(bridge, "waiting", 2 + 1 + 3 + 1)

    assert len({event.id for event in events}) == len(events)
    told = Counter((event.job_id, event.event) for event in events if event.job_id)
    assert [one for one, times in told.items() if times > 1] == []
    everyone = [*taken, *delayed, *prioritized, *waiting, last]
    assert sorted(job_id for job_id, event in told if event == "added") == sorted(everyone)
    now = {event.job_id: event for event in events}
    assert [str(now[job_id].state) for job_id in everyone] == ["active"] * 2 + ["delayed"] * 2 + ["waiting"] * 5
    rebuilt = Counter(event.event for event in events if event.rebuilt)
    assert rebuilt == {"added": 2 + 1 + 1, "active": 2, "delayed": 2, "waiting": 1 + 1}
    assert all(now[job_id].started_at for job_id in taken)
    assert all((now[job_id].delay_until or 0) > now[job_id].added_at + 3_000_000 for job_id in delayed)
    data = {event.job_id: event.data for event in events if event.event == "added" and event.rebuilt}
    assert set(data.values()) <= {'{"index":0}', '{"index":1}'}
    assert not any(event.event == "reconciled" for event in events)


async def test_failure_that_a_gap_swallowed_is_told_with_its_exhausted_retries(
    bridge: Bridge, app: Any, redis_url: str
) -> None:
    await bridge.start()
    await bridge.ready()
    await silent(redis_url, "mail", "add", count=2)
    await until_told(bridge, "waiting", 2)
    bridge.signal(signal.SIGSTOP)
    await silent(redis_url, "mail", "fail", count=2)
    await app.xtrim("bull:mail:events", maxlen=2, approximate=False)  # `retries-exhausted` of the second, and `drained`
    bridge.signal(signal.SIGCONT)
    events = await until_told(bridge, "retries-exhausted", 2)

    async def are_rebuilt() -> bool:
        return sum(event.event == "failed" for event in (await bridge.records()).jobs) == 2

    await eventually(are_rebuilt, what="both failures")
    events = (await bridge.records()).of_queue("mail")
    ends = [(event.job_id, event.event, event.attempt, event.rebuilt) for event in events if event.state == "failed"]
    assert sorted(ends) == [
        ("1", "failed", 1, True),
        ("1", "retries-exhausted", 1, True),
        ("2", "failed", 1, True),
        ("2", "retries-exhausted", 1, False),
    ]
    began = [(event.job_id, event.rebuilt, event.started_at is not None) for event in events if event.event == "active"]
    assert sorted(began) == [("1", True, True), ("2", True, True)]
    await bridge.has_counted(5, "bridge_events_rebuilt_total", queue="mail")


async def gap(bridge: Bridge, app: Any, redis_url: str, *during: Silent, version: Major = 6) -> list[str]:
    """While nobody reads, these are done, and nothing of them is left in the stream but that a job was added.

    Return the ids of all that were made or touched, in order.
    """
    mended = bridge.log.count("gap_rebuilt")
    bridge.signal(signal.SIGSTOP)
    ids: list[str] = []
    for what in during:
        ids += await silent(redis_url, "mail", what, count=1, version=version)
    await app.xtrim("bull:mail:events", maxlen=0, approximate=False)
    ids += await silent(redis_url, "mail", "add", count=1, version=version)
    bridge.signal(signal.SIGCONT)

    async def is_mended() -> bool:
        return bridge.log.count("gap_rebuilt") > mended

    await eventually(is_mended, what="the gap mended")
    return ids


@pytest.mark.parametrize("version", [5, 6])
async def test_jobs_of_a_paused_queue_and_a_parent_are_told_with_their_place(
    bridge: Bridge, app: Any, redis_url: str, version: Major
) -> None:
    """Version 5 moves the waiting jobs of a paused queue to another list, and adds to that."""
    await bridge.start()
    await bridge.ready()
    await silent(redis_url, "mail", "add", count=1, version=version)
    await until_told(bridge, "waiting")
    before, parent, child, during, last = await gap(
        bridge, app, redis_url, "add", "family", "pause", "add", version=version
    )
    assert await app.llen("bull:mail:paused") == (5 if version == 5 else 0)
    await until_told(bridge, "paused")
    await until_told(bridge, "waiting-children")
    events = await until_told(bridge, "waiting", 1 + 4)
    told = Counter((event.job_id, event.event) for event in events if event.job_id)
    assert max(told.values()) == 1
    now = {event.job_id: str(event.state) for event in events}
    waiting = dict.fromkeys((before, child, during, last), "waiting")
    assert {job_id: now[job_id] for job_id in (*waiting, parent)} == {**waiting, parent: "waiting-children"}
    rebuilt = Counter(event.event for event in events if event.rebuilt)
    assert rebuilt == {"added": 4, "waiting": 3, "waiting-children": 1, "paused": 1}


async def test_pauses_that_gaps_swallowed_are_told_once(bridge: Bridge, app: Any, redis_url: str) -> None:
    await bridge.start()
    await bridge.ready()
    await silent(redis_url, "mail", "add", count=1)
    await until_told(bridge, "waiting")
    await gap(bridge, app, redis_url, "add", "pause")
    await until_told(bridge, "paused")
    for end in ("kill", "stop"):  # what was told is known after them
        await getattr(bridge, end)()
        await bridge.start()
        await bridge.ready()
        await gap(bridge, app, redis_url, "add")
    await gap(bridge, app, redis_url, "add", "resume")
    await until_told(bridge, "resumed")
    await silent(redis_url, "mail", "pause")
    await until_told(bridge, "paused", 2)
    await gap(bridge, app, redis_url, "add", "resume", "pause")
    [last] = await silent(redis_url, "mail", "add", count=1)

    async def is_read() -> bool:
        return any(event.job_id == last for event in (await bridge.records()).of_queue("mail"))

    await eventually(is_read, what="the last job")
    events = [event for event in (await bridge.records()).of_queue("mail") if event.event in ("paused", "resumed")]
    assert [(event.event, event.rebuilt, bool(event.message)) for event in events] == [
        ("paused", True, True),
        ("resumed", True, True),
        ("paused", False, False),
    ]


async def test_progress_of_a_job_that_runs_on_is_told_once_a_gap(bridge: Bridge, app: Any, redis_url: str) -> None:
    await bridge.start()
    await bridge.ready()
    [running] = await silent(redis_url, "mail", "add", count=1)
    await silent(redis_url, "mail", "take", count=1)
    await until_told(bridge, "active")
    await app.hset(f"bull:mail:{running}", "progress", "40")  # its event is lost with the others
    await gap(bridge, app, redis_url, "add")
    await until_told(bridge, "progress")
    await bridge.kill()
    await bridge.start()
    await bridge.ready()
    await silent(redis_url, "mail", "finish", count=1)
    events = [event for event in await until_told(bridge, "completed") if event.job_id == running]
    told = [(event.event, event.rebuilt, event.progress, event.attempt) for event in events]
    assert ("progress", True, "40", 1) in told
    assert [event for event, *_ in told] == ["added", "waiting", "active", "progress"]


async def test_run_that_began_in_a_gap_is_told_of_a_job_that_ran_before(bridge: Bridge, app: Any) -> None:
    await bridge.start()
    await bridge.ready()
    seconds, _ = await app.time()
    first, second, last = (seconds * 1000 - ago for ago in (60_000, 30_000, 20_000))

    async def run(at: int, runs: int, stalls: int) -> None:
        began = {"name": "send", "timestamp": first, "opts": "{}", "processedOn": at, "ats": runs, "stc": stalls}
        await app.hset("bull:mail:1", mapping=began)
        await app.xadd("bull:mail:events", {"event": "active", "jobId": "1", "prev": "waiting"}, id=f"{at}-0")

    await make_queue(app, "mail")
    await app.lpush("bull:mail:active", "1")
    await run(first, 1, 0)
    await until_told(bridge, "active")
    bridge.signal(signal.SIGSTOP)
    await run(second, 2, 1)
    await app.xadd("bull:mail:events", {"event": "progress", "jobId": "2", "data": "1"}, id=f"{last}-0")
    await app.xtrim("bull:mail:events", maxlen=1, approximate=False)
    bridge.signal(signal.SIGCONT)
    told = [event for event in await until_told(bridge, "active", 2) if event.event == "active"]
    assert [(event.rebuilt, event.ts, event.message) for event in told] == [
        (False, first, ""),
        (True, second, "stalled 1 time in all"),
    ]


async def test_last_progress_and_stalls_are_rebuilt(bridge: Bridge, app: Any, redis_url: str) -> None:
    await bridge.start()
    await bridge.ready()
    reported, running = await silent(redis_url, "mail", "add", count=2)
    await until_told(bridge, "waiting", 2)
    await app.hincrby(f"bull:mail:{reported}", "stc", 1)  # as BullMQ 6 counts a stall
    await app.hincrby(f"bull:mail:{running}", "stalledCounter", 2)  # and 5
    await gap(bridge, app, redis_url, "report", "progress")
    await until_told(bridge, "completed")
    events = await until_told(bridge, "active", 2)
    now = {event.job_id: event for event in events if event.rebuilt}
    assert (now[reported].event, now[reported].progress, now[reported].result) == ("completed", "40", '"done"')
    assert (now[running].event, now[running].progress) == ("active", "40")
    assert now[reported].message == "stalled 1 time in all"
    assert now[running].message == "stalled 2 times in all"


async def test_job_is_told_though_an_unread_entry_names_it_that_does_not_say_where_it_is(
    app: Any, redis_url: str
) -> None:
    await make_queue(app, "mail")
    read = (await app.xadd("bull:mail:events", {"event": "drained"})).decode()
    for job_id, event in (("7", "deduplicated"), ("8", "waiting")):
        await app.xadd("bull:mail:events", {"event": event, "jobId": job_id})
        await app.hset(f"bull:mail:{job_id}", mapping={"name": "send", "timestamp": 1000, "opts": "{}", "data": "{}"})
        await app.lpush("bull:mail:wait", job_id)
    door, place, keys = Door(redis_url), Place("prod", "main", "mail"), Keys("bull", "mail")
    position, gap = Position(read, 1), Gap(900, 1100)
    made = await rebuild_present(door, place, keys, position, gap, ["7", "8"], OpenJobs(), Told(2000))
    await door.close()
    assert [(job_id, event.event) for job_id, event in made] == [("7", "added"), ("7", "waiting")]
