"""Kafka refuses commits, leaves them unanswered, or is slow: each event is there once all the same."""

from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import ROOT, Bridge

QUEUES = ("mail", "images", "invoices")


@pytest.mark.parametrize("how", ["refused", "unanswered", "slow"])
async def test_each_event_is_there_once(bridge: Bridge, app: Any, how: str) -> None:
    for queue in QUEUES:
        await make_queue(app, queue)
    await bridge.start(str(ROOT / "tests/integration/bridge/faulty_kafka.py"), how)
    for start in range(0, 1000, 50):
        for queue in QUEUES:
            await add_events(app, queue, 50, first=start)

        async def is_there(number: int = start) -> bool:
            told = {(event.queue, event.job_id) for event in (await bridge.records()).jobs}
            return all((queue, f"job-{number}") in told for queue in QUEUES)

        if start % 250 == 0:
            await eventually(is_there, what=f"job-{start} of each queue")

    async def are_all_there() -> bool:
        return sum(event.event == "added" for event in (await bridge.records()).jobs) >= 3000

    await eventually(are_all_there, what="all events")
    records = await bridge.records()
    for queue in QUEUES:
        assert [event.job_id for event in records.of_queue(queue)] == [f"job-{number}" for number in range(1000)]
    restarts = await bridge.metric("bridge_partition_restarts_total")
    assert restarts == 0 if how == "slow" else restarts > 0
