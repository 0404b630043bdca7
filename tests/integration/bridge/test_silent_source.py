"""A source that falls silent, or is not there, costs its own queues their freshness, and no other source's."""

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

QUEUES = [f"away-{number}" for number in range(4 * LANES)]


class Told:
    """Adds events to the queue of the source that is well, and waits for each."""

    def __init__(self, bridge: Bridge, app: Any) -> None:
        self._bridge = bridge
        self._app = app
        self._count = 0

    async def one_more(self) -> None:
        self._count += 1
        await add_events(self._app, "mail", 1, first=self._count)
        job_id = f"job-{self._count}"

        async def is_told() -> bool:
            return any(event.job_id == job_id for event in (await self._bridge.records()).of_queue("mail"))

        await eventually(is_told, what=f"{job_id} while the other source is away")


async def breaker(bridge: Bridge, source: str) -> float:
    return await bridge.metric("bridge_breaker_state", dependency=f"redis:{source}")


@pytest.mark.slow
async def test_source_that_is_away_stalls_no_other_and_goes_on_where_it_was(
    bridge: Bridge, app: Any, redis_url: str, start_redis: StartValkey, tmp_path: Path
) -> None:
    """First it accepts and never answers, then its port is closed. Its breaker says so, and it is left alone."""
    server = await start_redis(tmp_path / "away")
    away: Any = redis.from_url(server.settings["REDIS_URL"])
    for queue in QUEUES:
        await make_queue(away, queue)
    await make_queue(app, "mail")
    del bridge.environ["REDIS_URL"]
    bridge.environ["REDIS_SOURCES"] = f"away={server.settings['REDIS_URL']},healthy={redis_url}"
    bridge.environ["KAFKA_PARTITIONS"] = str(LANES)
    await bridge.start()
    await bridge.ready()

    async def are_counted() -> bool:
        return len({snapshot.queue for snapshot in (await bridge.records()).queues}) == len(QUEUES) + 1

    await eventually(are_counted, what="a snapshot of each queue")
    told = Told(bridge, app)

    async def until_left_alone() -> None:
        """Its breaker is open, and more calls were refused than any lane alone makes: all of them hear so."""
        refused = before = await bridge.metric("bridge_breaker_refused_total", dependency="redis:away")
        while refused - before < 5 * LANES:
            await told.one_more()
            refused = await bridge.metric("bridge_breaker_refused_total", dependency="redis:away")
        assert await breaker(bridge, "away") > 0
        assert await breaker(bridge, "healthy") == 0

    async def until_back(first: int) -> None:
        for queue in QUEUES:
            await add_events(away, queue, 5, first=first)
        expected = {queue: [f"job-{number}" for number in range(first + 5)] for queue in QUEUES}

        async def is_told() -> bool:
            records = await bridge.records()
            return {queue: [event.job_id for event in records.of_queue(queue)] for queue in QUEUES} == expected

        await eventually(is_told, what="each event of the source that was away, once")
        assert await breaker(bridge, "away") == 0

    server.child.process.send_signal(signal.SIGSTOP)
    try:
        await until_left_alone()
    finally:
        server.child.process.send_signal(signal.SIGCONT)
    await until_back(first=0)

    await server.child.stop()
    await until_left_alone()
    await start_redis(tmp_path / "away")
    await away.connection_pool.disconnect()
    await until_back(first=5)
    await away.aclose()
