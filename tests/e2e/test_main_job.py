"""The main job on the real Node BullMQ: every event travels to ClickHouse once, and each failure rings once."""

import pytest

from tests.bullmq.driver import Major
from tests.e2e.main_job import EPHEMERAL, do_main_job
from tests.product import Product

QUEUES = ["orders", "mails", "images", "reports", EPHEMERAL]


@pytest.mark.parametrize("version", [6, 5])
async def test_what_happened_to_every_job_is_told_once(tocsin: Product, redis_url: str, version: Major) -> None:
    for service in ("sandbox", "logsvc", "bridge", "bot"):
        await tocsin.start(service)
    await tocsin.ready()
    await do_main_job(tocsin, redis_url, QUEUES, jobs=2000, rate=400, version=version)
