"""Three replicas share the queues: they join, leave, stop, wake up, are killed. Each event is there once, in order."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bullmq.driver import workload
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge, bridge_on
from tests.integration.bridge.test_kills import finish
from tocsin.topics import partition_of

QUEUES = ["a", "b", "audit", "fax", "mail", "push"]
WORKED = ["images", "invoices"]
PARTITIONS = 3


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
            await asyncio.sleep(0.1)  # some 600 events a second


async def shares(bridges: list[Bridge]) -> list[int]:
    """How many queues each replica measures."""
    return [len(await bridge.samples("bridge_queue_paused")) for bridge in bridges]


async def until_told(bridge: Bridge, last: int) -> None:
    async def are_told() -> bool:
        told = {(event.queue, event.job_id) for event in (await bridge.records()).jobs}
        return {(queue, f"job-{last}") for queue in QUEUES} <= told

    await eventually(are_told, what=f"job-{last} of each queue")


@pytest.mark.slow
async def test_each_event_once_and_in_order_whoever_relays_it(
    app: Any, kafka_bootstrap: str, topic_prefix: str, redis_url: str, tmp_path: Path
) -> None:
    assert {partition_of("main", queue, PARTITIONS) for queue in QUEUES} == set(range(PARTITIONS))
    for queue in QUEUES:
        await make_queue(app, queue)
    feed = Feed()
    async with AsyncExitStack() as stack:
        bridges = [
            await stack.enter_async_context(
                bridge_on(
                    kafka_bootstrap,
                    topic_prefix,
                    redis_url,
                    tmp_path / f"bridge-{number}.log",
                    KAFKA_PARTITIONS=str(PARTITIONS),
                )
            )
            for number in range(3)
        ]
        first, second, third = bridges

        async def have_gone_on() -> None:
            """Wait until what is added now is relayed, in every queue."""
            await until_told(first, feed.count)

        async def do_share() -> bool:
            counts = await shares(bridges)
            return 0 not in counts and sum(counts) == len(QUEUES) + len(WORKED)

        await first.start()
        await first.ready()
        async with (
            feed.running(app),
            workload(redis_url, version=6, jobs=100_000, queues=WORKED, rate=20, without=["handed-back"]) as running,
        ):
            await have_gone_on()
            for joining in (second, third):
                await joining.start()
            for joining in (second, third):
                await joining.ready()
            await eventually(do_share, what="each queue measured by one of three")
            await third.stop()
            await have_gone_on()
            first.signal(signal.SIGSTOP)
            await have_gone_on()  # the second has taken over everything
            await third.start()
            await third.ready()
            await have_gone_on()
            first.signal(signal.SIGCONT)
            await eventually(do_share, what="all three at work again")
            await second.kill()
            await have_gone_on()
            truth = await running.stop()
        await until_told(first, feed.count - 1)
        await first.stop()
        await finish(third, truth)
        records = await third.records()
    for queue in QUEUES:
        events = records.of_queue(queue)
        assert [event.job_id for event in events] == [f"job-{number}" for number in range(feed.count)], queue
    assert [id for id, times in Counter(event.id for event in records.jobs).items() if times > 1] == []
