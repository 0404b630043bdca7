"""Kafka refuses commits, leaves them unanswered, or is slow: each event is there once all the same."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import ROOT, Bridge

FAULTY = str(ROOT / "tests/integration/bridge/faulty_kafka.py")
QUEUES = ("mail", "images", "invoices")
WINDOW = 60_000
OUR_CLOCK_MS = 1000
"""How far the bridge's idea of Redis's clock may be off on a busy machine."""


@pytest.mark.parametrize("how", ["refused", "unanswered", "slow"])
async def test_each_event_is_there_once(bridge: Bridge, app: Any, how: str) -> None:
    for queue in QUEUES:
        await make_queue(app, queue)
    await bridge.start(FAULTY, how)
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


async def test_lag_is_the_age_of_what_waits_and_the_window_shrinks_by_what_is_unread(
    bridge: Bridge, app: Any, tmp_path: Path
) -> None:
    """A bridge that is stopped finds half of the window unread, and cannot commit what it reads of it."""
    await make_queue(app, "mail", max_len=WINDOW)
    held = tmp_path / "held"
    await bridge.start(FAULTY, "held", str(held))
    await bridge.ready()
    await add_events(app, "mail", 1)
    await eventually(lambda: are_told(bridge, 1), what="the first event")
    assert await bridge.metric("bridge_trim_window_left_ratio", queue="mail") > 0.99
    held.touch()
    bridge.signal(signal.SIGSTOP)
    first, *_ = await add_events(app, "mail", WINDOW // 2, first=1)
    since = int(first.partition("-")[0])

    async def is_old() -> bool:
        return await redis_ms(app) - since >= 2 * OUR_CLOCK_MS

    await eventually(is_old, what="events that waited for seconds")
    bridge.signal(signal.SIGCONT)

    async def is_half_left() -> bool:
        return 0.5 <= await bridge.metric("bridge_trim_window_left_ratio", queue="mail") < 0.65

    await eventually(is_half_left, what="half of the window left, and what was read before the outbox was full")
    before = await redis_ms(app)
    lag = await bridge.metric("bridge_relay_lag_seconds", queue="mail") * 1000
    after = await redis_ms(app)
    assert before - since - OUR_CLOCK_MS < lag < after - since + OUR_CLOCK_MS

    held.unlink()
    await eventually(lambda: are_told(bridge, 1 + WINDOW // 2), what="every event")
    await add_events(app, "mail", 1, first=1 + WINDOW // 2)

    async def is_all_left() -> bool:
        return await bridge.metric("bridge_trim_window_left_ratio", queue="mail") > 0.99

    await eventually(is_all_left, what="the whole window left")
    told = [event.job_id for event in (await bridge.records()).of_queue("mail") if event.event == "added"]
    assert told[: 1 + WINDOW // 2] == [f"job-{number}" for number in range(1 + WINDOW // 2)]


async def are_told(bridge: Bridge, count: int) -> bool:
    return sum(event.event == "added" for event in (await bridge.records()).jobs) >= count


async def redis_ms(app: Any) -> int:
    """Redis's clock, ms."""
    seconds, microseconds = await app.time()
    return seconds * 1000 + microseconds // 1000
