"""What bridge asks a real Redis for while it waits, as MONITOR shows it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from bridge.sources.bullmq.lane import MAX_QUEUES
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import make_reader
from tests.integration.bridge.writing import writing

QUEUES = [f"queue-{number}" for number in range(450)]


async def looks(app: Any) -> AsyncGenerator[list[str]]:
    """The streams of each look from now on; a read names one stream and wants more than one entry."""
    async with app.monitor() as monitor, asyncio.timeout(60):
        while True:
            command, *words = (await monitor.next_command())["command"].split()
            if command.upper() == "XREAD" and words[:2] == ["COUNT", "1"]:
                streams = words[words.index("STREAMS") + 1 :]
                yield streams[: len(streams) // 2]


async def test_all_queues_are_waited_for_by_commands_of_two_hundred_streams_at_most(bridge: Bridge, app: Any) -> None:
    for queue in QUEUES:
        await make_queue(app, queue)
    await add_events(app, QUEUES[0], 1)
    bridge.environ["KAFKA_PARTITIONS"] = "1"
    await bridge.start()
    await bridge.ready()
    named: set[str] = set()
    sizes: set[int] = set()
    async with aclosing(looks(app)) as each:
        async for streams in each:
            named.update(streams)
            sizes.add(len(streams))
            if len(named) == len(QUEUES):
                break
    assert named == {f"bull:{queue}:events" for queue in QUEUES}
    assert max(sizes) == MAX_QUEUES == 200


async def test_where_redis_does_not_tell_a_busy_queue_is_waited_for_apart_from_the_idle_ones(
    bridge: Bridge, app: Any, redis_url: str
) -> None:
    """It costs Redis a look at one stream; the idle ones of its lane are looked at less often, and not forgotten."""
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url, "+client|tracking")
    queues = [f"queue-{number}" for number in range(1000)]  # of fewer the budget allows to look at all each time
    for queue in queues:
        await make_queue(app, queue)
    bridge.environ["KAFKA_PARTITIONS"] = "1"
    await bridge.start()
    await bridge.ready()
    busy, apart, seen = "bull:queue-7:events", 0, set[str]()

    async def write(queue: str, number: int) -> None:
        await app.xadd(f"bull:{queue}:events", {"event": "added", "jobId": f"job-{number}", "name": "send"})

    async with writing(write, ["queue-7"]), aclosing(looks(app)) as each:
        async for streams in each:
            seen.update(streams)
            apart += streams == [busy]
            if apart >= 100 and len(seen) == len(queues):
                break
    assert seen == {f"bull:{queue}:events" for queue in queues}
