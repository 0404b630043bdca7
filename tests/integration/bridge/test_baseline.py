"""First contact is a baseline: what was there is backfill, what comes is live, and a restart remembers which."""

from typing import Any

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge


async def backfill_of(bridge: Bridge, queue: str, count: int) -> list[bool]:
    """Whether each event of the queue is backfill, once there are so many."""

    async def are_there() -> bool:
        return len((await bridge.records()).of_queue(queue)) >= count

    await eventually(are_there, seconds=30, what=f"{count} events of {queue}")
    return [event.backfill for event in (await bridge.records()).of_queue(queue)]


async def test_what_was_there_is_backfill_and_what_comes_is_live(bridge: Bridge, app: Any) -> None:
    await make_queue(app, "old")
    await add_events(app, "old", 300, max_len=40)
    await bridge.start()
    assert await backfill_of(bridge, "old", 40) == [True] * 40
    await add_events(app, "old", 2)
    assert await backfill_of(bridge, "old", 42) == [True] * 40 + [False] * 2

    await make_queue(app, "new")
    await add_events(app, "new", 3)
    assert await backfill_of(bridge, "new", 3) == [False] * 3

    await bridge.stop()
    await add_events(app, "old", 2)
    await make_queue(app, "newer")
    await add_events(app, "newer", 30, max_len=10)
    await bridge.start()
    assert await backfill_of(bridge, "old", 44) == [True] * 40 + [False] * 4
    assert await backfill_of(bridge, "newer", 11) == [False] * 11
    gaps = [(event.queue, event.lost) for event in (await bridge.records()).jobs if event.event == "gap"]
    assert gaps == [("newer", 20)], "what was trimmed before Tocsin is not lost; what was trimmed since is"


async def test_without_cursors_all_is_history_again(bridge: Bridge, app: Any) -> None:
    """Another topic prefix knows nothing: nothing of the past may ring."""
    await make_queue(app, "old")
    await add_events(app, "old", 5)
    await bridge.start()
    assert await backfill_of(bridge, "old", 5) == [True] * 5
