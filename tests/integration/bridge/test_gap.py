"""What was trimmed before it could be read is counted to the entry, and told."""

import json
import signal
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, entries_added, make_queue
from tests.integration.bridge.running import Bridge

BOUND = 100


async def until_relayed(bridge: Bridge, queue: str, job_id: str) -> None:
    async def is_there() -> bool:
        return any(event.job_id == job_id for event in (await bridge.records()).of_queue(queue))

    await eventually(is_there, what=f"{job_id} of {queue} in Kafka")


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_read_and_lost_are_all_that_were_added(bridge: Bridge, app: Any, how: str) -> None:
    await make_queue(app, "small", max_len=BOUND)
    ids = await add_events(app, "small", 50, max_len=BOUND)
    await bridge.start()
    await until_relayed(bridge, "small", "job-49")

    if how == "stopped":
        bridge.signal(signal.SIGSTOP)
    else:
        await bridge.kill()
    missed = await add_events(app, "small", 733, max_len=BOUND, first=50)
    if how == "stopped":
        bridge.signal(signal.SIGCONT)
    else:
        await bridge.start()
    await until_relayed(bridge, "small", "job-782")
    await add_events(app, "small", 5, max_len=BOUND, first=783)
    await until_relayed(bridge, "small", "job-787")

    events = (await bridge.records()).of_queue("small")
    gaps = [event for event in events if event.event == "gap"]
    told = [event.job_id for event in events if event.event == "added"]
    assert [(gap.lost, gap.gap_from, gap.gap_to) for gap in gaps] == [(633, ids[-1], missed[-BOUND])]
    assert gaps[0].level == "error"
    assert "633 events" in gaps[0].message
    assert len(told) + gaps[0].lost == await entries_added(app, "small") == 788
    assert told == [f"job-{number}" for number in [*range(50), *range(683, 788)]]
    assert events.index(gaps[0]) == 50
    await bridge.has_counted(633, "bridge_events_lost_total", queue="small")


async def test_window_too_small_for_its_rate_is_announced_before_it_loses(bridge: Bridge, app: Any) -> None:
    await make_queue(app, "small", max_len=BOUND)
    await add_events(app, "small", 1, max_len=BOUND)
    await bridge.start()
    await until_relayed(bridge, "small", "job-0")
    for start in range(1, 241, 40):
        await add_events(app, "small", 40, max_len=BOUND, first=start)
        await until_relayed(bridge, "small", f"job-{start + 39}")

    await eventually(lambda: "trim_window_small" in bridge.log, what="the warning")
    line = next(line for line in bridge.log.splitlines() if "trim_window_small" in line)
    warning = json.loads(line)
    assert (warning["queue"], warning["max_len"]) == ("small", BOUND)
    assert "streams: { events: { maxLen: 10000 } } to EVERY new Queue(...)" in warning["mend"]
    assert bridge.log.count("trim_window_small") == 1
    assert await bridge.metric("bridge_trim_window_seconds", queue="small") < 30
    assert await bridge.metric("bridge_trim_window_left_ratio", queue="small") > 0.5
    assert await bridge.metric("bridge_events_lost_total", queue="small") == 0


async def test_queue_that_outruns_the_reader_loses_nothing_uncounted(bridge: Bridge, app: Any) -> None:
    """Five queues are trimmed to a few entries over and over while they are read."""
    queues = [f"fast-{number}" for number in range(5)]
    for queue in queues:
        await make_queue(app, queue, max_len=20)
        await add_events(app, queue, 1, max_len=20)
    await bridge.start()
    for queue in queues:
        await until_relayed(bridge, queue, "job-0")
    for start in range(1, 1501, 100):
        for queue in queues:
            await add_events(app, queue, 100, max_len=20, first=start)
    for queue in queues:
        await until_relayed(bridge, queue, "job-1500")

    records = await bridge.records()
    for queue in queues:
        events = records.of_queue(queue)
        assert sum(event.lost for event in events) + sum(event.event == "added" for event in events) == 1501
    assert len({event.id for event in records.jobs}) == len(records.jobs)
