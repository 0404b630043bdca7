"""Rules over what the bridge measures, on a real Kafka and Postgres: they ring, survive a restart, and end."""

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.kafka import TableFeed, topic_exists
from bot.queues.snapshots import Snapshots, follow
from bot.rules.watching import Tables
from bot.settings import BotSettings
from bot.store.database import open_engine
from tests.eventually import eventually
from tests.integration.bot.fake_logsvc import FakeLogsvc
from tests.integration.bot.house import CHAT, House, failure, snapshot
from tests.integration.bot.service import SERVICE_TOKEN, Service
from tests.unit.bot.test_snapshots import Clock
from tocsin.events import VERSION, QueueSnapshot, SchedulerSnapshot, SourceSnapshot, State
from tocsin.settings import read

HASTY_BOT = Path(__file__).parent / "hasty_bot.py"
START_MS = int((time.time() - 7200) * 1000)
"""The clock of this Redis is two hours behind: rules go by its own time, and a test need not wait for it."""


def at(seconds: float, queue: str = "orders", **more: Any) -> QueueSnapshot:
    return snapshot(queue, ts=START_MS + int(seconds * 1000), sources_queues=3, overdue=0, **more)


async def begun(engine: AsyncEngine) -> None:
    """Wait until the rules have seen what was there before them."""

    async def has_begun() -> bool:
        async with engine.connect() as connection:
            return (
                await connection.execute(text("SELECT 1 FROM milestones WHERE name = 'watched'"))
            ).first() is not None

    await eventually(has_begun, what="the first look")


async def judged(engine: AsyncEngine, at_ms: int) -> None:
    """Wait until a rule remembers having looked at what was measured then."""

    async def is_judged() -> bool:
        async with engine.connect() as connection:
            found = await connection.execute(text("SELECT 1 FROM watches WHERE at_ms = :at"), {"at": at_ms})
            return found.first() is not None

    await eventually(is_judged, what="the rule's look")


async def test_a_rule_rings_across_a_restart_and_ends_by_its_own_measure(house: House) -> None:
    bot = await house.start_bot(BOT_RESOLVE_SECONDS="2")
    engine = open_engine(house.postgres)
    try:
        await house.put(at(-30), at(-30, "mail"), at(-30, "dead", waiting=9, workers=0))
        await house.message("Watching 3 queues. 1 already in trouble")
        dead = at(200, "dead", waiting=9, workers=0)
        await house.put(dead)
        await judged(engine, dead.ts)
        first, second = (at(seconds, waiting=12, workers=0) for seconds in (0, 100))
        await house.put(first)
        await judged(engine, first.ts)
        await house.put(second)
        await judged(engine, second.ts)
        await bot.kill()
        await house.start_bot(BOT_RESOLVE_SECONDS="2")
        assert not await house.has_text("No workers")
        await house.put(at(181, waiting=13, workers=0))
        card = await house.message("No workers")
        assert card["text"].startswith("🟠 prod · orders · No workers · new")
        assert "13 jobs are ready, and no worker is connected" in card["text"]
        page, _ = await house.ask("/rules", expect="finds 2 now")
        assert "Why: a deployment that did not come back looks like this" in page
        # Unlike a failure it does not end by quiet.
        await house.put(failure("mail"))
        await house.message("CardError ×1")

        async def failure_is_over() -> bool:
            await house.put(at(182, "mail"))
            return any(one.startswith("✅") and "CardError" in one for one in await house.texts())

        await eventually(failure_is_over, what="the end of the failure by quiet")
        assert (await house.message("orders · No workers"))["text"].startswith("🟠")
        well = at(210)
        await house.put(well)
        await judged(engine, well.ts)
        await house.put(at(280))
        await eventually(lambda: house.has_text("✅ prod · orders · No workers · quiet again"), what="its end")
        assert not await house.has_text("dead · No workers"), "what was in trouble before us does not ring"
    finally:
        await engine.dispose()


async def test_a_redis_that_was_never_reached_rings_though_no_queue_was_ever_seen(house: House) -> None:
    ago_ms = int(time.time() * 1000) - 100_000
    away = SourceSnapshot(v=VERSION, ts=ago_ms, env="prod", source="main", is_reachable=False)
    await house.start_bot()
    engine = open_engine(house.postgres)
    try:
        await house.put_row(house.topics.sources, "main", away)
        await judged(engine, away.ts)
    finally:
        await engine.dispose()
    away.ts += 100_000
    await house.put_row(house.topics.sources, "main", away)
    await house.message("Redis unreachable")


async def test_schedules_sources_gaps_and_stalled_jobs_ring(house: House) -> None:
    await house.start_bot(BOT_RULES_OFF="depth")
    await house.put(snapshot())
    await house.message("Watching 1 queue")
    engine = open_engine(house.postgres)
    await begun(engine)
    await engine.dispose()
    late = SchedulerSnapshot(
        v=VERSION,
        ts=int(time.time() * 1000),
        env="prod",
        source="main",
        queue="orders",
        scheduler="nightly",
        is_overdue=True,
        overdue_seconds=600,
    )
    await house.put_row(house.topics.schedulers, "main:orders:nightly", late)
    card = await house.message("Schedule did not fire")
    assert "The schedule nightly was due 10 min ago" in card["text"]
    await house.put(failure(event="gap", state=State.UNKNOWN, lost=1203, job_id="", error="", fingerprint=""))
    await house.message("Events lost ×1203")
    stalled = [failure(event="stalled", state=State.STALLED) for _ in range(3)]
    await house.put(*stalled[:2])
    evicted = 0

    async def evictions_ring() -> bool:
        nonlocal evicted
        evicted += 4
        row = SourceSnapshot(
            v=VERSION, ts=int(time.time() * 1000), env="prod", source="main", evicted_keys=evicted, policy="allkeys-lru"
        )
        await house.put_row(house.topics.sources, "main", row)
        return await house.has_text("Redis throws keys away")

    await eventually(evictions_ring, what="the evictions")
    card = await house.message("Redis throws keys away")
    assert card["text"].startswith("🟠 prod · main · ")
    assert "allkeys-lru" in card["text"]
    assert not await house.has_text("Jobs stall")
    await house.ask("/rules", expect="rules, 1 off")
    await house.put(stalled[2])
    await house.message("Jobs stall ×3")
    await house.put_row(house.topics.schedulers, "main:orders:nightly", None)
    await eventually(lambda: house.has_text("✅ prod · orders · "), what="the end with the schedule itself")


QUIET: dict[str, Any] = {"completed_per_minute": 5, "failed_per_minute": 0}
TROUBLE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "oldest-waiting": ("Jobs wait too long", "has waited 33 min; 3", {"waiting": 3, "oldest_waiting_seconds": 2000.0}),
    "depth": ("Backlog", "12000 jobs are ready", {"waiting": 12_000, "oldest_waiting_seconds": 1.0}),
    "unlocked": (
        "Worker wedged",
        "Job 7 has been active for 2 min and has no lock",
        {
            **{"active": 1, "longest_active_id": "7", "longest_active_seconds": 130.0},
            **{"is_longest_active_locked": False},
        },
    ),
    "overdue": ("Delayed jobs overdue", "4 delayed jobs are due", {"delayed": 4, "overdue": 4}),
    "paused": ("Paused too long", "paused, and 2 jobs are ready", {"is_paused": True, "waiting": 2}),
    "failure-rate": (
        "Many jobs fail",
        "Of the 30 jobs that ended in the last minute 20",
        {"completed_per_minute": 10, "failed_per_minute": 20},
    ),
    "long-running": (
        "A job runs too long",
        "Job 9 has been active for 33 min; 99 % of this queue's jobs take less than 1 s",
        {
            **{"active": 1, "longest_active_id": "9", "longest_active_seconds": 2000.0},
            **{"is_longest_active_locked": True},
        },
    ),
    "slow": ("Jobs take longer", "took 20 s or more; in the last week that was 1 s", {}),
    "nothing-added": ("Nothing comes in", "No job came in for an hour, in which usually 1000 or more do", {}),
}
"""A queue of the rule's name, and what the bridge tells of it: what rings then, and what it says."""


async def test_each_rule_rings_and_ends_by_what_the_bridge_measures(house: House) -> None:
    logsvc = FakeLogsvc()
    logsvc.run_p95 = dict.fromkeys(("long-running", "still", "slow", "nothing-added"), 1000)
    await logsvc.start()
    queues = (*TROUBLE, "still")

    async def measure(seconds: float, queue: str, **more: Any) -> None:
        values = {"sources_queues": len(queues), "overdue": 0, **QUIET, **more}
        await house.put(snapshot(queue, ts=START_MS + int(seconds * 1000), **values))

    async def habits_are_known() -> None:
        """What is judged now goes by what logsvc tells now: the look under way may have asked before."""
        known = logsvc.looks + 3
        await eventually(lambda: logsvc.looks >= known, what="two whole looks at history")

    async def redis(**more: Any) -> None:
        values: dict[str, Any] = {"memory_bytes": 10 * 2**20, "max_memory_bytes": 100 * 2**20, **more}
        row = SourceSnapshot(v=VERSION, ts=int(time.time() * 1000), env="prod", source="main", **values)
        await house.put_row(house.topics.sources, "main", row)

    for queue in queues:
        await measure(0, queue)
    await redis()
    bot = Service(
        await house.start_bot(
            str(HASTY_BOT), LOGSVC_URL=f"http://127.0.0.1:{logsvc.port}", TOCSIN_SERVICE_TOKEN=SERVICE_TOKEN
        )
    )
    engine = open_engine(house.postgres)
    try:
        await begun(engine)
        # Only their times are cut short: how long each waits is for tests that need no services.
        at_once = {"fire_seconds": 0.0, "resolve_seconds": 0.0}
        changes = {rule: at_once for rule in (*TROUBLE, "redis-unreachable", "memory")}
        changes |= {"still": {**at_once, "fire": 0.2}, "bridge-silent": {**at_once, "fire": 1.0, "resolve": 0.5}}
        changes["behind"] = {**at_once, "fire": 0.0001, "resolve": 0.0001}
        for rule, change in changes.items():
            body = {"user_id": CHAT, "name": "Ann", "version": 0, "change": change}
            (await bot("PUT", f"rules/{rule}", body=body)).raise_for_status()
        await house.message("Tocsin is behind")
        await house.message("The bridge has told nothing of source main")

        logsvc.run_p95_now, logsvc.added_now = {"slow": 20_000}, {"nothing-added": 0}
        await habits_are_known()
        for queue, (_, _, told) in TROUBLE.items():
            await measure(60, queue, **told)
        await measure(60, "still", waiting=1, oldest_waiting_seconds=2000.0, completed_per_minute=0)
        await house.message("still · Jobs wait too long")
        await measure(160, "still", waiting=1, oldest_waiting_seconds=2000.0, completed_per_minute=0)
        card = await house.message("still · Nothing moves")
        assert "no job has ended for 3 min" in card["text"]
        later = itertools.count(6_100)

        async def nothing_comes_in() -> bool:
            """The bridge tells on: an hour is compared once its source was watched for so long without a pause."""
            await measure(next(later) / 100, "nothing-added")
            return await house.has_text("🟠 prod · nothing-added")

        await eventually(nothing_comes_in, what="nothing-added")
        for queue, (title, text, _) in TROUBLE.items():
            card = await house.message(f"🟠 prod · {queue} · {title}")
            assert text in card["text"]
        await redis(memory_bytes=95 * 2**20)
        assert "Redis holds 95 MiB of 100 MiB" in (await house.message("Redis is nearly full"))["text"]
        await redis(is_reachable=False, memory_bytes=None)
        assert "cannot reach the Redis of source main" in (await house.message("Redis unreachable"))["text"]

        await redis()
        logsvc.run_p95_now, logsvc.added_now = {}, {}
        await habits_are_known()
        for queue in queues:
            await measure(220, queue)
        ends = [f"{queue} · {title}" for queue, (title, _, _) in TROUBLE.items()]
        for end in (*ends, "still · Nothing moves", "main · Redis is nearly full", "main · Redis unreachable"):
            await house.message(f"✅ prod · {end}")
    finally:
        await engine.dispose()
        await logsvc.stop()


async def test_a_bridge_that_does_not_come_back_with_the_bot_is_told_of(house: House) -> None:
    settings = read(BotSettings, house.environ)
    topic, clock = house.topics.sources, Clock()
    row = SourceSnapshot(v=VERSION, ts=int(time.time() * 1000), env="prod", source="main")
    await house.put_row(topic, "main", row)
    for is_alive in (True, False):  # the machine starts anew after the first, and the bridge does not
        tables, stop = Tables(Snapshots()), asyncio.Event()
        tables.clock = tables.sources.clock = clock
        feed = asyncio.create_task(
            follow(lambda: topic_exists(settings, topic), lambda: TableFeed(settings, topic), tables.sources, stop)
        )
        await eventually(lambda tables=tables: tables.sources.has_caught_up, what="the table")
        assert tables.world().unheard == {"main"}
        if is_alive:
            await house.put_row(topic, "main", row)
            await eventually(lambda tables=tables: not tables.world().unheard, what="the bridge")
        clock.now += 400
        await eventually(lambda tables=tables: tables.sources.read_at == clock.now, what="a look that brought nothing")
        assert tables.world().silent_seconds == {"main": 400}
        stop.set()
        await feed
