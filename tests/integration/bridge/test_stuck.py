"""What stands still although nothing fails: overdue jobs, dead workers, limits; as real BullMQ leaves it, v5 and v6."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.bullmq.driver import Major, scene
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import make_reader
from tocsin.events import QueueSnapshot

BOTH = pytest.mark.parametrize("version", [5, 6])


async def snapshot_with(bridge: Bridge, queue: str, holds: Callable[[QueueSnapshot], bool], what: str) -> QueueSnapshot:
    """Wait for a snapshot of the queue of which something holds."""
    found: list[QueueSnapshot] = []

    async def is_told() -> bool:
        newest = (await bridge.records()).newest(queue)
        found[:] = [newest] if newest is not None else []
        return newest is not None and holds(newest)

    await eventually(is_told, what=f"{what}; told last: {found}")
    return found[0]


@BOTH
async def test_delayed_jobs_that_nobody_moves_are_overdue(bridge: Bridge, redis_url: str, version: Major) -> None:
    async with scene(redis_url, "overdue", queue="mail", version=version):
        await bridge.start()
        told = await snapshot_with(bridge, "mail", lambda one: one.overdue == 2, "two overdue jobs")

    assert told.ts - (told.last_event_at or 0) > 4_500, "a few seconds late is not late"
    assert (told.delayed, told.waiting, told.workers) == (3, 0, 0)
    assert await bridge.metric("bridge_queue_overdue_jobs", queue="mail") == 2


@BOTH
async def test_killed_workers_job_runs_longest_and_has_lost_its_lock(
    bridge: Bridge, app: Any, redis_url: str, version: Major
) -> None:
    await bridge.start()
    async with scene(redis_url, "stuck", queue="mail", version=version) as worker:
        running = await snapshot_with(
            bridge, "mail", lambda one: one.longest_active_id == "1" and one.workers == 1, "a job that runs"
        )
        assert running.is_longest_active_locked is True
        assert running.longest_active_name == "endless"
        worker.kill()
        dead = await snapshot_with(
            bridge, "mail", lambda one: one.is_longest_active_locked is False, "a job without a lock"
        )
    assert (dead.active, dead.longest_active_id) == (1, "1")
    assert (dead.longest_active_seconds or 0) > (running.longest_active_seconds or 0)
    began = int(await app.hget("bull:mail:1", "processedOn"))
    ran = (dead.ts - began) / 1000
    measured = await bridge.metric("bridge_queue_longest_active_seconds", queue="mail")
    seconds, _ = await app.time()
    assert dead.longest_active_seconds == ran <= measured <= seconds + 1 - began / 1000
    assert await bridge.metric("bridge_queue_longest_active_unlocked", queue="mail") == 1


async def test_idle_queue_has_no_longest_job_and_no_limit(bridge: Bridge, redis_url: str) -> None:
    await bridge.start()
    async with scene(redis_url, "work", queue="mail", version=6):
        told = await snapshot_with(bridge, "mail", lambda one: one.completed == 7 and one.failed == 3, "ten jobs done")
    assert (told.longest_active_id, told.longest_active_seconds, told.is_longest_active_locked) == ("", None, None)
    assert (told.overdue, told.is_rate_limited, told.rate_limit_seconds, told.rate_limit_jobs) == (0, False, None, None)
    assert told.concurrency is None


@BOTH
async def test_global_limit_is_told_with_the_time_left(bridge: Bridge, redis_url: str, version: Major) -> None:
    await bridge.start()
    async with scene(redis_url, "limited", queue="mail", version=version):
        told = await snapshot_with(
            bridge, "mail", lambda one: one.completed == 2 and bool(one.is_rate_limited), "a queue at its limit"
        )
    assert (told.rate_limit_jobs, told.rate_limit_ms, told.concurrency) == (2, 60_000, 7)
    assert 0 < (told.rate_limit_seconds or 0) <= 60
    assert await bridge.metric("bridge_queue_rate_limited", queue="mail") == 1


@BOTH
async def test_queue_blocked_by_hand_is_rate_limited(bridge: Bridge, redis_url: str, version: Major) -> None:
    await bridge.start()
    async with scene(redis_url, "blocked", queue="mail", version=version):
        told = await snapshot_with(bridge, "mail", lambda one: bool(one.is_rate_limited), "a blocked queue")
    assert told.rate_limit_jobs is None
    assert 0 < (told.rate_limit_seconds or 0) <= 60


async def test_limit_that_only_the_worker_knows_is_unknown(bridge: Bridge, redis_url: str) -> None:
    await bridge.start()
    async with scene(redis_url, "limited-by-worker", queue="mail", version=6):
        told = await snapshot_with(
            bridge, "mail", lambda one: one.completed == 1 and one.rate_limit_seconds is not None, "an open window"
        )
    assert told.is_rate_limited is None
    assert not await bridge.samples("bridge_queue_rate_limited", queue="mail")


async def test_what_redis_refuses_is_unknown_and_the_counts_are_there(bridge: Bridge, app: Any, redis_url: str) -> None:
    bridge.environ["REDIS_URL"] = await make_reader(
        app, redis_url, "+client|list", "+zcount", "+pttl", "+exists", "+lindex"
    )
    await bridge.start()
    async with scene(redis_url, "overdue", queue="mail", version=6):
        told = await snapshot_with(bridge, "mail", lambda one: one.delayed == 3, "the counts")
        assert await bridge.metric("bridge_queue_oldest_waiting_seconds", queue="mail") == 0
        await app.lpush("bull:mail:wait", "who waits")
        await snapshot_with(bridge, "mail", lambda one: one.waiting == 1, "a job that waits")
        assert not await bridge.samples("bridge_queue_oldest_waiting_seconds", queue="mail")
    assert (told.workers, told.overdue, told.is_rate_limited, told.longest_active_seconds) == (None, None, None, None)
    assert await bridge.metric("bridge_snapshots_refused_total") == 0
