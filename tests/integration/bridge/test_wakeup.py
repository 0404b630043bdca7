"""What bridge asks a real Redis for while it waits, as MONITOR shows it."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from bridge.sources.bullmq.lane import MAX_QUEUES
from bridge.sources.bullmq.wakeup import LOOKS_A_SECOND
from tests.eventually import READY_SECONDS
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import make_reader
from tests.integration.bridge.writing import writing

SECONDS = 4
BUSY = range(7, 1000, 50)
QUEUES = [f"queue-{number}" for number in range(450)]


@dataclass(frozen=True)
class Asked:
    """One XREAD: the streams it names, and when, in seconds of Redis's clock. is_look: it wants to know only whether
    they have something; a read names one stream and wants more than one entry."""

    streams: list[str]
    at: float
    is_look: bool


async def asked(app: Any) -> AsyncGenerator[Asked]:
    """Each XREAD from now on."""
    async with app.monitor() as monitor, asyncio.timeout(READY_SECONDS):
        while True:
            told = await monitor.next_command()
            command, *words = told["command"].split()
            if command.upper() == "XREAD":
                streams = words[words.index("STREAMS") + 1 :]
                streams = streams[: len(streams) // 2]
                assert len(streams) <= MAX_QUEUES == 200
                yield Asked(streams, float(told["time"]), is_look=words[:2] == ["COUNT", "1"])


async def test_all_queues_are_waited_for_by_commands_of_two_hundred_streams_at_most(bridge: Bridge, app: Any) -> None:
    for queue in QUEUES:
        await make_queue(app, queue)
    await add_events(app, QUEUES[0], 1)
    bridge.environ["KAFKA_PARTITIONS"] = "1"
    await bridge.start()
    await bridge.ready()
    named: set[str] = set()
    most = 0
    async with aclosing(asked(app)) as each:
        async for one in each:
            if one.is_look:
                named.update(one.streams)
                most = max(most, len(one.streams))
            if len(named) == len(QUEUES):
                break
    assert named == {f"bull:{queue}:events" for queue in QUEUES}
    assert most == MAX_QUEUES


async def test_where_redis_does_not_tell_busy_queues_are_waited_for_apart_from_the_idle_ones(
    bridge: Bridge, app: Any, redis_url: str
) -> None:
    """The idle ones of their lanes are looked at less often, and not forgotten; all looks keep to their budget."""
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url, "+client|tracking")
    queues = [f"queue-{number}" for number in range(1000)]  # of fewer the budget allows to look at all each time
    for queue in queues:
        await make_queue(app, queue)
    bridge.environ["KAFKA_PARTITIONS"] = "1"
    await bridge.start()
    await bridge.ready()
    busy = {f"bull:queue-{number}:events" for number in BUSY}
    apart, seen = 0, set[str]()

    async def write(queue: str, number: int) -> None:
        await app.xadd(f"bull:{queue}:events", {"event": "added", "jobId": f"job-{number}", "name": "send"})

    a_second: Counter[int] = Counter()
    async with writing(write, [f"queue-{number}" for number in BUSY]), aclosing(asked(app)) as each:
        async for one in each:
            if not one.is_look:
                continue
            seen.update(one.streams)
            apart += busy.issuperset(one.streams)
            a_second[int(one.at)] += len(one.streams)
            assert a_second[int(one.at)] <= LOOKS_A_SECOND
            if apart >= 100 and len(seen) == len(queues) and len(a_second) > SECONDS:
                break
    assert seen == {f"bull:{queue}:events" for queue in queues}
