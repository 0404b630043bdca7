"""A source that falls silent costs its own queues their freshness, and no other source's."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.clients import redis
from tests.conftest import StartValkey
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge

LANES = 8
"""One a partition: more than may read at the same time."""


@pytest.mark.slow
async def test_silent_redis_stalls_no_other_source(
    bridge: Bridge, app: Any, redis_url: str, start_redis: StartValkey, tmp_path: Path
) -> None:
    silent = await start_redis(tmp_path / "silent")
    silent_app: Any = redis.from_url(silent.settings["REDIS_URL"])
    for number in range(4 * LANES):
        await make_queue(silent_app, f"silent-{number}")
    await make_queue(app, "mail")
    del bridge.environ["REDIS_URL"]
    bridge.environ["REDIS_SOURCES"] = f"silent={silent.settings['REDIS_URL']},healthy={redis_url}"
    bridge.environ["KAFKA_PARTITIONS"] = str(LANES)
    await bridge.start()
    await bridge.ready()

    async def are_counted() -> bool:
        return len({snapshot.queue for snapshot in (await bridge.records()).queues}) == 4 * LANES + 1

    await eventually(are_counted, what="a snapshot of each queue")
    silent.child.process.send_signal(signal.SIGSTOP)
    try:
        told = 0
        while await bridge.metric("bridge_source_errors_total", source="silent") < 5 * LANES:
            told += 1
            await add_events(app, "mail", 1, first=told)

            async def is_told(job_id: str = f"job-{told}") -> bool:
                return any(event.job_id == job_id for event in (await bridge.records()).of_queue("mail"))

            await eventually(is_told, what=f"job-{told} while the other source is silent")
    finally:
        silent.child.process.send_signal(signal.SIGCONT)
    await silent_app.aclose()
