"""The main job: real BullMQ jobs fail and are tried again; history and chat tell it once, and true."""

from collections.abc import Sequence

from tests.bullmq.driver import Major, run_workload
from tests.e2e.accounts import assert_history_is_true, expected_rings, rings
from tests.e2e.arrival import everything_relayed, everything_stored
from tests.eventually import eventually
from tests.product import Product

EPHEMERAL = "gone"
"""The queue whose jobs are removed as they end; one of `queues` below."""


async def do_main_job(
    tocsin: Product,
    redis_url: str,
    queues: Sequence[str],
    *,
    jobs: int,
    rate: int,
    version: Major = 6,
) -> None:
    """Run so many jobs at so many a second, wait until all is told, and compare it with the workload's own account.

    A job handed back by its own processor (moveToWait, a rate limit) leaves no trace that a reader who is a moment late
    could tell from a retry: such records say enriched=false, and are tried in tests/integration/bridge.
    """
    truth = await run_workload(
        redis_url,
        version=version,
        jobs=jobs,
        queues=list(queues),
        ephemeral=EPHEMERAL,
        rate=rate,
        without=["handed-back", "rate-limited"],
    )
    relayed = await everything_relayed(tocsin, redis_url, queues)
    await everything_stored(tocsin)

    async def rung() -> bool:
        return rings(await tocsin.chat()) == expected_rings(truth)

    await eventually(rung, what="every failure in the chat, each with its count")
    await assert_history_is_true(tocsin, truth, relayed=relayed, ephemeral=EPHEMERAL)
