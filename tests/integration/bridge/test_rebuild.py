"""A job that ended while its events were trimmed is told once all the same, from its hash."""

import asyncio
import random
import signal
from collections import Counter
from typing import Any

import pytest

from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.gaps import rebuild
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.stream import Gap
from tests.bullmq.driver import workload
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge
from tocsin.events import JobEvent

QUEUES = ["mail", "orders"]
ENDS = ("completed", "failed")


async def ends(bridge: Bridge) -> list[JobEvent]:
    return [event for event in (await bridge.records()).jobs if event.event in ENDS]


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_every_end_is_told_once_though_its_events_were_trimmed(bridge: Bridge, redis_url: str, how: str) -> None:
    dice = random.Random(20261125)
    await bridge.start()
    await bridge.ready()
    async with workload(
        redis_url,
        version=6,
        jobs=900,
        queues=QUEUES,
        rate=100,
        events_maxlen=100,
        without=["handed-back"],
    ) as running:
        while running.is_running:
            await asyncio.sleep(dice.uniform(0.5, 2))  # the random moment itself
            if how == "killed":
                await bridge.kill()
                await bridge.start()
                await bridge.ready()
            else:
                bridge.signal(signal.SIGSTOP)
                await asyncio.sleep(dice.uniform(0.5, 1.5))  # while entries are trimmed
                bridge.signal(signal.SIGCONT)
        truth = await running.finish()

    async def all_told() -> bool:
        return len({(event.queue, event.job_id) for event in await ends(bridge)}) == len(truth.jobs)

    await eventually(all_told, what="the end of every job")
    told = await ends(bridge)
    assert [key for key, times in Counter((event.queue, event.job_id) for event in told).items() if times > 1] == []
    for event in told:
        job = truth.jobs[event.queue, event.job_id]
        assert (str(event.state), event.error) == (job.final_state, (job.failed_reason or "") if event.error else "")
        assert event.attempt == len(job.attempts)
    assert any(event.rebuilt for event in told)
    jobs = (await bridge.records()).jobs
    assert await bridge.metric("bridge_events_rebuilt_total") <= sum(event.rebuilt for event in jobs)  # since its start
    added = Counter((event.queue, event.job_id) for event in jobs if event.event == "added")
    assert [key for key, times in added.items() if times > 1] == []
    assert [event for event in jobs if event.event == "reconciled"] == []
    assert len({event.id for event in (await bridge.records()).jobs}) == len((await bridge.records()).jobs)


@pytest.mark.parametrize("a_page", [1, 2, 3, 7, 1000])
async def test_every_end_of_a_gap_is_found_once_however_many_share_a_time(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch, a_page: int
) -> None:
    monkeypatch.setattr(rebuild, "ENDS_A_READ", a_page)
    times = [99, 3000, 3000, 3000, 3001, 3001, 3002, 5000, 5000, 9001]
    for number, ms in enumerate(times):
        await app.zadd("bull:mail:completed", {f"c{number}": ms})
        await app.zadd("bull:mail:failed", {f"f{number}": ms})
    door = Door(redis_url)
    pages = [page async for page in rebuild.ends_in(door, Keys("bull", "mail"), Gap(3000, 4000))]
    await door.close()
    found = [(ended.job_id, ended.at) for page in pages for ended in page]
    inside = [(number, ms) for number, ms in enumerate(times) if 1000 <= ms <= 6000]
    assert sorted(found) == sorted((f"{state}{number}", ms) for state in "cf" for number, ms in inside)
    assert all(len(page) <= a_page for page in pages)
