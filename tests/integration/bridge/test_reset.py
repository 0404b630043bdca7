"""A stream deleted or begun anew (obliterate, flush) is a new epoch: told, and read from its start."""

from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.kafka_reader import Records
from tocsin.events import JobEvent


async def until_epoch(bridge: Bridge, epoch: int, events: int) -> Records:
    async def is_there() -> bool:
        found = (await bridge.records()).of_queue("mail")
        return sum(event.epoch == epoch and event.event == "added" for event in found) >= events

    await eventually(is_there, what=f"{events} events of epoch {epoch}")
    return await bridge.records()


def told_by_the_stream(records: Records) -> list[JobEvent]:
    """Without what is told of the jobs that were there before: no hash of them exists."""
    return [event for event in records.of_queue("mail") if event.event != "reconciled"]


@pytest.mark.parametrize("how", ["running", "down"])
@pytest.mark.parametrize("count", [3, 20, 500], ids=["fewer", "as many", "more"])
async def test_stream_begun_anew_is_a_new_epoch(bridge: Bridge, app: Any, how: str, count: int) -> None:
    await make_queue(app, "mail")
    await add_events(app, "mail", 20)
    await bridge.start()
    await until_epoch(bridge, 1, 20)
    if how == "down":
        await bridge.stop()
    pipe = app.pipeline(transaction=True)
    pipe.delete("bull:mail:events", "bull:mail:meta")
    await pipe.execute()
    await make_queue(app, "mail")
    await add_events(app, "mail", count)
    if how == "down":
        await bridge.start()

    events = told_by_the_stream(await until_epoch(bridge, 2, count))
    assert [(event.event, event.epoch) for event in events] == [
        *[("added", 1)] * 20,
        ("stream-reset", 2),
        *[("added", 2)] * count,
    ]
    assert len({event.id for event in events}) == len(events)
    assert [event.job_id for event in events[21:]] == [f"job-{number}" for number in range(count)]
    assert not any(event.lost for event in events)


async def test_obliterated_queue_that_stays_away_is_told_once(
    bridge: Bridge, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing wakes us for a stream that is gone: the regular check finds it. A restart checks at once."""
    await make_queue(app, "mail")
    await make_queue(app, "other")
    await add_events(app, "mail", 5)
    await bridge.start()
    await until_epoch(bridge, 1, 5)
    await bridge.stop()
    await app.delete("bull:mail:events")

    await bridge.start()

    async def is_told() -> bool:
        return any(event.event == "stream-reset" for event in (await bridge.records()).jobs)

    await eventually(is_told, what="the reset")
    await bridge.stop()
    await bridge.start()
    await bridge.ready()
    await add_events(app, "mail", 2)
    events = told_by_the_stream(await until_epoch(bridge, 2, 2))
    assert [event.event for event in events] == [*["added"] * 5, "stream-reset", "added", "added"]


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_stream_begun_anew_and_trimmed_beyond_the_position_meanwhile_is_known_by_its_queues_counter(
    bridge: Bridge, app: Any, how: str
) -> None:
    """By the stream alone it looks as if only its oldest entries had been trimmed."""
    await make_queue(app, "mail", max_len=100)
    await app.set("bull:mail:id", 50)
    await bridge.start()
    await bridge.ready()
    await add_events(app, "mail", 20)
    await until_epoch(bridge, 1, 20)
    await (bridge.stop() if how == "stopped" else bridge.kill())
    await app.delete("bull:mail:events")
    await app.set("bull:mail:id", 30)
    await add_events(app, "mail", 300, max_len=100)
    await bridge.start()

    events = told_by_the_stream(await until_epoch(bridge, 2, 100))
    assert [(event.event, event.epoch, event.lost) for event in events] == [
        *[("added", 1, 0)] * 20,
        ("stream-reset", 2, 0),
        ("gap", 2, 200),
        *[("added", 2, 0)] * 100,
    ]
