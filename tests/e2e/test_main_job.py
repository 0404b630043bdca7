"""The main job on the real Node BullMQ: every event travels to ClickHouse once, and each failure rings once."""

import pytest

from tests.bullmq.driver import Major, run_workload
from tests.e2e.accounts import assert_history_is_true, expected_rings, rings
from tests.e2e.arrival import everything_relayed, everything_stored
from tests.eventually import eventually
from tests.product import Product

QUEUES = ["orders", "mails", "images", "reports", "gone"]
EPHEMERAL = "gone"


@pytest.mark.parametrize("version", [6, 5])
async def test_what_happened_to_every_job_is_told_once(tocsin: Product, redis_url: str, version: Major) -> None:
    for service in ("sandbox", "logsvc", "bridge", "bot"):
        await tocsin.start(service)
    await tocsin.ready()

    # A job handed back by its own processor (moveToWait, a rate limit) leaves no trace that a reader who is a moment
    # late could tell from a retry: such records say enriched=false, and are tried in tests/integration/bridge.
    truth = await run_workload(
        redis_url,
        version=version,
        jobs=2000,
        queues=QUEUES,
        ephemeral=EPHEMERAL,
        rate=400,
        without=["handed-back", "rate-limited"],
    )
    relayed = await everything_relayed(tocsin, redis_url, QUEUES)
    await everything_stored(tocsin)

    async def rung() -> bool:
        return rings(await tocsin.chat()) == expected_rings(truth)

    await eventually(rung, seconds=150, what="every failure in the chat, each with its count")

    await assert_history_is_true(tocsin, truth, relayed=relayed, ephemeral=EPHEMERAL)
