"""Job schedulers as real BullMQ keeps them: told when they move, overdue without a worker, gone when removed."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.door.pools import pool_of_url
from bridge.sources.bullmq.door.single import Single
from bridge.sources.bullmq.snapshots.repeat import GONE_AFTER
from bridge.sources.bullmq.snapshots.schedulers import PAGE, Schedulers
from bridge.sources.bullmq.translate import Place
from tests.bullmq.driver import Major, scene
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import make_reader
from tests.kafka_reader import Records
from tocsin.events import SchedulerSnapshot

BOTH = pytest.mark.parametrize("version", [5, 6])


async def told_with(
    bridge: Bridge, holds: Callable[[SchedulerSnapshot], bool], what: str, scheduler: str = "poll"
) -> SchedulerSnapshot:
    """Wait for a snapshot of a scheduler of which something holds."""
    found: list[SchedulerSnapshot] = []

    async def is_told() -> bool:
        newest = (await bridge.records()).scheduler(scheduler)
        found[:] = [newest] if newest is not None else []
        return newest is not None and holds(newest)

    await eventually(is_told, what=what)
    return found[0]


async def set_scene(redis_url: str, name: str, version: Major = 6, **options: object) -> None:
    """A scene that leaves nothing running."""
    async with scene(redis_url, name, queue="mail", version=version, **options):
        pass


def tombstones(records: Records, key: bytes) -> int:
    """How many there are of a key on the topic of schedulers."""
    return sum(topic.endswith("schedulers") and (k, v) == (key, b"") for topic, k, v in records.raw)


@BOTH
async def test_scheduler_without_a_worker_becomes_overdue(bridge: Bridge, redis_url: str, version: Major) -> None:
    await bridge.start()
    await set_scene(redis_url, "schedule", version, every=1000)
    first = await told_with(bridge, lambda one: one.every == 1000, "a scheduler")
    assert (first.every, first.job_name, first.max_iterations, first.is_legacy) == (1000, "tick", 1000, False)
    assert first.data == '{"to":"all","password":"[redacted]"}'
    late = await told_with(bridge, lambda one: one.is_overdue, "an overdue scheduler")

    assert (late.next_run, late.iteration) == (first.next_run, first.iteration)
    assert late.overdue_seconds > 5
    await bridge.has_counted(1, "bridge_schedulers_overdue", queue="mail")

    async with scene(redis_url, "work", queue="mail", version=version):
        moved = await told_with(bridge, lambda one: not one.is_overdue, "a scheduler that a worker moves on")
        more = await told_with(
            bridge, lambda one: (one.iteration or 0) >= (moved.iteration or 0) + 2, "iterations that grow"
        )
    assert (moved.iteration or 0) > (late.iteration or 0)
    assert (more.next_run or 0) > (moved.next_run or 0) > (late.next_run or 0)


@BOTH
async def test_replaced_scheduler_is_told_anew_and_a_removed_one_is_gone(
    bridge: Bridge, redis_url: str, version: Major
) -> None:
    await bridge.start()
    await set_scene(redis_url, "schedule", version)
    await told_with(bridge, lambda one: one.every == 3_600_000, "a scheduler")
    await set_scene(redis_url, "schedule-cron", version)
    cron = await told_with(bridge, lambda one: one.pattern == "0 3 * * *", "its new rule")
    assert (cron.every, cron.timezone, cron.job_name) == (None, "Europe/Lisbon", "digest")
    await set_scene(redis_url, "unschedule", version)

    async def is_gone() -> bool:
        return tombstones(await bridge.records(), b"main:mail:poll") == 1

    await eventually(is_gone, what="a tombstone")
    [event] = [event for event in (await bridge.records()).jobs if event.event == "gone"]
    assert event.id == f"main:mail:1:gone:s:poll:{event.ts}"
    assert (event.scheduler, event.job_id, event.state) == ("poll", "", "unknown")
    assert "scheduler poll is gone" in event.message
    await bridge.has_forgotten("bridge_schedulers", queue="mail")

    await set_scene(redis_url, "schedule", version)
    await told_with(bridge, lambda one: one.every == 3_600_000, "the scheduler made again")


async def test_scheduler_removed_while_the_bridge_was_away_is_gone(bridge: Bridge, redis_url: str) -> None:
    await set_scene(redis_url, "schedule")
    await set_scene(redis_url, "schedule", id="stays: a b")
    await bridge.start()
    await told_with(bridge, lambda one: True, "a scheduler")
    await told_with(bridge, lambda one: True, "another", "stays: a b")
    await bridge.stop()
    await set_scene(redis_url, "unschedule")
    await bridge.start()

    async def is_gone() -> bool:
        return tombstones(await bridge.records(), b"main:mail:poll") == 1

    await eventually(is_gone, what="a tombstone")
    records = await bridge.records()
    assert [event.scheduler for event in records.jobs if event.event == "gone"] == ["poll"]
    assert tombstones(records, b"main:mail:stays: a b") == 0


async def test_reading_that_is_refused_makes_no_scheduler_gone(bridge: Bridge, app: Any, redis_url: str) -> None:
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url)
    await set_scene(redis_url, "schedule")
    await bridge.start()
    await told_with(bridge, lambda one: True, "a scheduler")
    await app.execute_command("ACL", "SETUSER", "bridge", "-zscan")
    await set_scene(redis_url, "unschedule")

    async def is_refused() -> bool:
        stats = await app.info("commandstats")
        return stats["cmdstat_zscan"]["rejected_calls"] >= 2 * GONE_AFTER

    await eventually(is_refused, what="readings that were refused")
    assert tombstones(await bridge.records(), b"main:mail:poll") == 0
    await app.execute_command("ACL", "SETUSER", "bridge", "+zscan")

    async def is_gone() -> bool:
        return tombstones(await bridge.records(), b"main:mail:poll") == 1

    await eventually(is_gone, what="a tombstone")


WITHDRAWN = {"refused": ("-zscan", "+zscan"), "cut off": ("off", "on")}
"""What the user `bridge` loses after a first page, and what gives it back."""


class HalfWay(Single):
    """While `is_breaking` no reading of schedulers comes further than its first page. breaks: how often that was."""

    def __init__(self, url: str, app: Any, how: str) -> None:
        super().__init__(pool_of_url(url), asyncio.timeout)
        self._app = app
        self._how = how
        self.is_breaking = False
        self.breaks = 0

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        if not self.is_breaking or all(command[0] != "ZSCAN" or command[2] == b"0" for command in commands):
            return await super().ask(commands, timeout=timeout, as_text=as_text)
        self.breaks += 1
        less, more = WITHDRAWN[self._how]
        await self._app.execute_command("ACL", "SETUSER", "bridge", less)
        if less == "off":
            await self._app.client_kill_filter(user="bridge")
        try:
            return await super().ask(commands, timeout=timeout, as_text=as_text)
        finally:
            await self._app.execute_command("ACL", "SETUSER", "bridge", more)


@pytest.mark.parametrize("how", WITHDRAWN)
async def test_reading_that_ends_after_a_page_makes_no_scheduler_gone(app: Any, redis_url: str, how: str) -> None:
    runs = {f"nightly-{number}": 1_900_000_000_000 + number for number in range(PAGE + 100)}
    await app.zadd("bull:mail:repeat", runs)
    for name in runs:
        await app.hset(f"bull:mail:repeat:{name}", mapping={"name": "send", "every": 60_000, "ic": 1})
    half_way = HalfWay(await make_reader(app, redis_url), app, how)
    door = Door(half_way)
    schedulers = Schedulers(door, "bull", ())

    async def gone() -> list[str]:
        places = {"mail": Place("prod", "main", "mail")}
        return [one.scheduler async for changes in schedulers.read(["mail"], places) for one in changes.gone]

    assert await gone() == []
    assert schedulers.counts() == {"mail": (len(runs), 0)}
    await app.zrem("bull:mail:repeat", "nightly-7")
    half_way.is_breaking = True
    for _ in range(2 * GONE_AFTER):
        with suppress(SourceUnavailable):
            assert await gone() == []
    assert half_way.breaks == 2 * GONE_AFTER
    half_way.is_breaking = False
    assert [await gone() for _ in range(GONE_AFTER)] == [[]] * (GONE_AFTER - 1) + [["nightly-7"]]
    await door.close()


async def test_repeatable_of_older_bullmq_is_told_as_legacy(bridge: Bridge, redis_url: str) -> None:
    await bridge.start()
    await set_scene(redis_url, "repeat", 5)

    async def is_told() -> bool:
        return bool((await bridge.records()).schedulers)

    await eventually(is_told, what="the repeatable")
    [told] = (await bridge.records()).schedulers[:1]
    assert (told.is_legacy, told.iteration, told.job_name, told.pattern) == (True, None, "old", "0 9 * * *")
    assert told.timezone == "Europe/Lisbon"
