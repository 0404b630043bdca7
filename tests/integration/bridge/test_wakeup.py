"""What bridge asks a real Redis for while it waits, as MONITOR shows it."""

import asyncio
from typing import Any

from bridge.sources.bullmq.lane import MAX_QUEUES
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge

QUEUES = [f"queue-{number}" for number in range(450)]


async def test_all_queues_are_waited_for_by_commands_of_two_hundred_streams_at_most(bridge: Bridge, app: Any) -> None:
    for queue in QUEUES:
        await make_queue(app, queue)
    await add_events(app, QUEUES[0], 1)
    bridge.environ["KAFKA_PARTITIONS"] = "1"
    await bridge.start()
    await bridge.ready()
    named: set[str] = set()
    sizes: set[int] = set()
    async with app.monitor() as monitor, asyncio.timeout(60):
        while len(named) < len(QUEUES):
            command, *words = (await monitor.next_command())["command"].split()
            if command.upper() == "XREAD" and words[:2] == ["COUNT", "1"]:  # a look; each read is of one stream
                streams = words[words.index("STREAMS") + 1 :]
                named.update(streams[: len(streams) // 2])
                sizes.add(len(streams) // 2)
    assert named == {f"bull:{queue}:events" for queue in QUEUES}
    assert max(sizes) == MAX_QUEUES == 200
