"""Two replicas share the queues: one joins, stops, wakes up, is killed. Each event is there once, in order."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge, bridge_on

QUEUES = [f"queue-{number}" for number in range(6)]


class Feed:
    """Events in every queue, all the time."""

    def __init__(self) -> None:
        self.count = 0
        self._is_ending = False

    @asynccontextmanager
    async def running(self, app: Any) -> AsyncGenerator[None]:
        task = asyncio.create_task(self._run(app))
        try:
            yield
        finally:
            self._is_ending = True
            await task

    async def _run(self, app: Any) -> None:
        while not self._is_ending:
            for queue in QUEUES:
                await add_events(app, queue, 10, first=self.count)
            self.count += 10
            await asyncio.sleep(0.05)  # some 1,200 events a second


async def shares(*bridges: Bridge) -> list[int]:
    """How many queues each replica measures."""
    return [len(await bridge.samples("bridge_queue_paused")) for bridge in bridges]


async def until_told(bridge: Bridge, last: int) -> None:
    async def are_told() -> bool:
        told = {(event.queue, event.job_id) for event in (await bridge.records()).jobs}
        return {(queue, f"job-{last}") for queue in QUEUES} <= told

    await eventually(are_told, seconds=60, what=f"job-{last} of each queue")


@pytest.mark.slow
async def test_each_event_once_and_in_order_whoever_relays_it(
    bridge: Bridge, app: Any, kafka_bootstrap: str, topic_prefix: str, redis_url: str, tmp_path: Path
) -> None:
    for queue in QUEUES:
        await make_queue(app, queue)
    feed = Feed()

    async def have_gone_on() -> None:
        """Wait until what is added now is relayed, in every queue."""
        await until_told(bridge, feed.count)

    async with bridge_on(kafka_bootstrap, topic_prefix, redis_url, tmp_path / "other.log") as other:
        await bridge.start()
        await bridge.ready()
        async with feed.running(app):
            await have_gone_on()
            await other.start()
            await other.ready()

            async def do_share() -> bool:
                counts = await shares(bridge, other)
                return 0 not in counts and sum(counts) == len(QUEUES)

            await eventually(do_share, what="each queue measured by one of the two")
            for stopped in (bridge, other):
                stopped.signal(signal.SIGSTOP)
                await have_gone_on()  # the other takes over
                stopped.signal(signal.SIGCONT)
                await have_gone_on()
                await eventually(do_share, seconds=60, what="both at work again")
            await other.kill()
            await have_gone_on()
        await until_told(bridge, feed.count - 1)
    records = await bridge.records()
    for queue in QUEUES:
        events = records.of_queue(queue)
        assert [event.job_id for event in events] == [f"job-{number}" for number in range(feed.count)], queue
