"""The main job while its services die: each is kill -9ed ten times at seeded random moments, and once at its worst one.

Only a service that has done some of its work since it was started is killed: one that still waits for its group has
nothing to lose. Nothing may be missing and nothing told twice; a message may be doubled only where the bot died between
Telegram's answer and its own commit (promise 4), and each such death is seen: the last message in the chat is then one
that the database does not know.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.bullmq.driver import Major, workload
from tests.clients import asyncpg
from tests.e2e.accounts import assert_history_is_true, expected_rings, rings
from tests.e2e.arrival import everything_relayed, everything_stored
from tests.eventually import eventually
from tests.product import Product

QUEUES = ["orders", "mails", "images", "reports", "gone"]
EPHEMERAL = "gone"
KILLS = 10
WORST_MOMENTS = {
    "bridge": ("bridge.kafka:Writer._commit", "before", 20),
    "logsvc": ("logsvc.store:Store.insert", "after", 5),
    "bot": ("bot.telegram:Telegram.send", "after", 4),
}
"""Inside an open transaction; between insert and offset commit; between Telegram's answer and our commit."""
WORK = {
    "bridge": "bridge_events_relayed_total",
    "logsvc": "logsvc_rows_stored_total",
    "bot": "bot_failures_counted_total",
}
"""What each has done since its start."""


def dying(service: str, marker: Path) -> list[str]:
    """Python's arguments for a service that dies at its worst moment."""
    at, when, nth = WORST_MOMENTS[service]
    return ["tests/dying.py", service, "--at", at, "--when", when, "--nth", str(nth), "--marker", str(marker)]


async def has_worked(tocsin: Product, service: str) -> bool:
    """Whether a service has done some of its work since it was started."""
    try:
        return await tocsin.metric(service, WORK[service]) > 0
    except httpx.HTTPError:
        return False


async def died_in_the_gap(tocsin: Product) -> bool:
    """Whether the bot, dead now, had not written down the last message that Telegram took."""
    last = [message["message_id"] for message in await tocsin.chat() if message["from"]["is_bot"]][-1]
    connection = await asyncpg.connect(tocsin.environ["DATABASE_URL"].replace("+asyncpg", "", 1), timeout=10)
    try:
        return not await connection.fetchval("SELECT count(*) FROM cards WHERE message_id = $1", last, timeout=10)
    finally:
        await connection.close()


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", [6, 5])
async def test_all_is_told_once_while_services_are_killed(
    tocsin: Product, redis_url: str, tmp_path: Path, version: Major
) -> None:
    dice = random.Random(20261122 + version)
    kills: Counter[str] = Counter()
    await tocsin.start("sandbox")
    for service in WORST_MOMENTS:
        await tocsin.start(service, *dying(service, tmp_path / f"{service}.died"))
    await tocsin.ready()  # what failed before the bot's first start is the past, and would not ring

    # moveToWait leaves no trace a late reader could tell from a retry, and late is what a killed reader is.
    mix = {"queues": QUEUES, "ephemeral": EPHEMERAL, "without": ["handed-back", "rate-limited"]}
    seen_in_the_gap = 0
    async with workload(
        redis_url,
        version=version,
        jobs=9000,
        rate=20,
        timeout=900,
        **mix,  # pyright: ignore[reportArgumentType]  # options by name, of several types
    ) as running:
        while running.is_running:
            await asyncio.sleep(dice.uniform(0.5, 3))  # the random moment itself
            for service in WORST_MOMENTS:
                if tocsin.running[service].returncode is not None:
                    tocsin.running.pop(service)
                    await tocsin.start(service)
            met = [
                service
                for service in WORST_MOMENTS
                if (tmp_path / f"{service}.died").exists() and await has_worked(tocsin, service)
            ]
            if met and running.is_running:
                service = min(met, key=lambda name: kills[name] + dice.random() * 3)
                await tocsin.kill(service)
                kills[service] += 1
                if service == "bot":
                    seen_in_the_gap += await died_in_the_gap(tocsin)
                await tocsin.start(service)
        truth = await running.finish()
    assert min(kills[service] for service in WORST_MOMENTS) >= KILLS, kills

    await tocsin.ready()
    relayed = await everything_relayed(tocsin, redis_url, QUEUES)
    await everything_stored(tocsin)
    expected = expected_rings(truth)

    async def rung() -> bool:
        told = rings(await tocsin.chat())
        return all(not counts - told.get(queue, Counter()) for queue, counts in expected.items())

    await eventually(rung, seconds=180, what="every failure in the chat, each with its count")
    told = rings(await tocsin.chat())
    assert told.keys() == expected.keys()
    doubled = sum((told[queue] - counts).total() for queue, counts in expected.items())
    planted = 1
    assert doubled <= planted + seen_in_the_gap, "more messages twice than the bot died before it wrote one down"

    await assert_history_is_true(tocsin, truth, relayed=relayed, ephemeral=EPHEMERAL)
    print(
        {"kills": dict(kills), "jobs": len(truth.jobs), "events": relayed, "seen": seen_in_the_gap, "doubled": doubled}
    )
