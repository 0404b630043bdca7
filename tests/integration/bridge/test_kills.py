"""Promise 1 on the real thing: the bridge is killed while jobs run, and nothing is missing, nothing is there twice."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.bullmq.driver import workload
from tests.bullmq.records import Truth
from tests.eventually import eventually
from tests.integration.bridge.running import ROOT, Bridge
from tests.integration.bridge.truth import differences, has_ended, out_of_order, unknown_of_kept

QUEUES = ["mail", "images", "invoices"]


async def finish(bridge: Bridge, known: Truth) -> None:
    """Wait in Kafka for the end of each job that has ended, and compare."""
    truth = Truth(known.summary, {key: job for key, job in known.jobs.items() if job.final_state is not None})
    assert truth.jobs

    async def is_told() -> bool:
        return has_ended(await bridge.records(), truth)

    await eventually(is_told, what="every job's end in Kafka")
    await bridge.stop()
    records = await bridge.records()
    assert differences(records, truth) == []
    assert unknown_of_kept(records, truth) == []
    assert out_of_order(records) == []


async def something_relayed(bridge: Bridge) -> None:
    async def is_there() -> bool:
        return bool((await bridge.records()).jobs)

    await eventually(is_there, what="the first event in Kafka")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7])
async def test_killed_at_random_moments(bridge: Bridge, redis_url: str, seed: int) -> None:
    dice = random.Random(seed)
    await bridge.start()
    await bridge.ready()
    async with workload(
        redis_url, version=6, jobs=500, queues=QUEUES, rate=40, seed=seed, without=["handed-back"]
    ) as running:
        await something_relayed(bridge)
        for _ in range(3):
            await asyncio.sleep(dice.uniform(0.1, 1.5))  # a random moment of work, not a synchronisation
            await bridge.kill()
            await bridge.start()
            await bridge.ready()
        await finish(bridge, await running.finish())


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_inside_an_open_transaction(bridge: Bridge, redis_url: str, tmp_path: Path, when: str) -> None:
    """before: all is sent, nothing committed. after: committed, and the answer was not seen."""
    marker = tmp_path / "died"
    await bridge.start(
        str(ROOT / "tests" / "dying.py"), "bridge",
        "--at", "bridge.kafka:Writer._commit", "--when", when, "--nth", "12", "--marker", str(marker),
    )  # fmt: skip
    async with workload(redis_url, version=6, jobs=100_000, queues=QUEUES, rate=60, without=["handed-back"]) as running:
        assert await bridge.ended() == -9
        assert marker.exists()
        assert running.is_running
        await bridge.start()
        await bridge.ready()
        await finish(bridge, await running.stop())
