"""What writes to Redis: too late, as a replica that was stopped and wakes, it writes nothing."""

import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from bridge.actions.performer import AT_ONCE, Performer
from bridge.settings import BridgeSettings
from tests.integration.bridge.acting import TOKEN
from tests.integration.bridge.failed_jobs import FAILED_AT, make_failed, retries
from tocsin.events import PlannedJob
from tocsin.settings import read


@pytest.fixture
async def performer(redis_url: str) -> AsyncGenerator[Performer]:
    """Acts on the source `main`."""
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": "unused",
        "REDIS_URL": redis_url,
        "REDIS_ACTIONS_URL": redis_url,
        "TOCSIN_SERVICE_TOKEN": TOKEN,
    }
    made = Performer(read(BridgeSettings, environ).sources[0])
    yield made
    await made.close()


async def test_a_page_whose_time_is_over_costs_no_connection(performer: Performer, app: Any) -> None:
    """To open one takes two trips more: over a slow line the next try would come to nothing either."""
    count = 2 * AT_ONCE
    planned = [
        PlannedJob(job_id=job_id, stamp=str(FAILED_AT + at))
        for at, job_id in enumerate(await make_failed(app, "mail", 2 * count))
    ]
    in_time = time.monotonic() + 60
    assert await performer.act("retry", "mail", planned[:count], is_repeat=False, until=in_time) is not None
    opened = (await app.info("stats"))["total_connections_received"]
    late = time.monotonic() - 1
    assert await performer.act("retry", "mail", planned[count:], is_repeat=False, until=late) is None
    assert await performer.act("retry", "mail", planned[count:], is_repeat=False, until=in_time) is not None
    assert (await app.info("stats"))["total_connections_received"] == opened
    assert set((await retries(app, "mail")).values()) == {1}


async def test_a_queue_is_neither_paused_nor_resumed_too_late(performer: Performer, app: Any) -> None:
    await make_failed(app, "mail", 1)
    late, in_time = time.monotonic() - 1, time.monotonic() + 60
    assert await performer.set_paused("mail", True, until=late) is None
    assert not await app.hexists("bull:mail:meta", "paused")
    assert await performer.set_paused("mail", True, until=in_time) is not None
    assert await performer.set_paused("mail", False, until=late) is None
    assert await app.hexists("bull:mail:meta", "paused")
