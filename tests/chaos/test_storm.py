"""Faster than anybody can read while being killed: what was lost is counted to the entry, and every end is there."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.bullmq import node
from tests.clients import redis
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge, bridge_on

QUEUE, EVENTS, EVENTS_A_JOB, WAVE = "storm", 200_000, 4, 10_000
KILLS = 8


@pytest.fixture
async def bridge(kafka_bootstrap: str, topic_prefix: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Bridge]:
    """A bridge that is not started yet."""
    async with bridge_on(kafka_bootstrap, topic_prefix, redis_url, tmp_path / "bridge.log") as made:
        yield made


async def blow(redis_url: str, enough: asyncio.Event) -> list[str]:
    """Waves at full speed, at least EVENTS altogether, until enough."""
    told: list[str] = []
    while not enough.is_set() or len(told) * WAVE * EVENTS_A_JOB < EVENTS:
        lines = await node.run("storm.mjs", {"redis": redis_url, "queue": QUEUE, "jobs": WAVE}, seconds=300)
        told += [line.decode() for line in lines]
    return told


async def has_worked(bridge: Bridge) -> bool:
    """Whether it has relayed something since it was started."""
    try:
        return await bridge.metric("bridge_events_relayed_total") > 0
    except httpx.HTTPError:
        return False


async def xinfo(redis_url: str) -> dict[str, Any]:
    client = redis.from_url(redis_url)
    try:
        return await client.xinfo_stream(f"bull:{QUEUE}:events")
    finally:
        await client.aclose()


@pytest.mark.chaos
@pytest.mark.timeout(1500)
async def test_every_entry_is_read_or_counted_lost_in_a_storm_with_kills(bridge: Bridge, redis_url: str) -> None:
    dice = random.Random(20261125)
    await bridge.start()
    await bridge.ready()
    enough = asyncio.Event()
    blowing = asyncio.create_task(blow(redis_url, enough))
    kills = 0
    while not blowing.done():
        await eventually(lambda: has_worked(bridge), seconds=120, what="a bridge that relays")
        await asyncio.sleep(dice.uniform(0, 3))  # the random moment itself
        await bridge.kill()
        kills += 1
        await bridge.start()
        if kills == KILLS:
            enough.set()
    waves = await blowing
    jobs = len(waves) * WAVE

    async def ended() -> list[tuple[str, str]]:
        records = await bridge.records()
        return [(event.job_id, event.event) for event in records.jobs if event.event in ("completed", "failed")]

    async def all_ended() -> bool:
        return len({job_id for job_id, _ in await ended()}) == jobs

    await eventually(all_ended, seconds=300, what=f"the ends of {jobs} jobs")
    info = await xinfo(redis_url)
    records = await bridge.records()
    gaps = [event for event in records.jobs if event.event == "gap"]
    told = [event for event in records.jobs if event.stream_id and event.event != "gap"]
    lost = sum(gap.lost for gap in gaps)

    assert gaps, "nothing was lost: this is no storm"
    assert len(told) + lost == info["entries-added"], f"{len(told)} read, {lost} counted lost"
    assert [key for key, times in Counter(event.id for event in records.jobs).items() if times > 1] == []
    assert [key for key, times in Counter(await ended()).items() if times > 1] == []
    assert Counter(event for _, event in await ended()) == {"completed": jobs * 9 // 10, "failed": jobs // 10}
    print({"kills": kills, "waves": waves, "told": len(told), "gaps": len(gaps), "lost": lost})
