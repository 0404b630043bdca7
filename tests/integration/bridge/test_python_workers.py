"""Workers of Python's BullMQ, which drop their blocking connection and open another, again and again, while idle."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.snapshots.workers import Workers
from tests.clients import bullmq
from tests.eventually import READY_SECONDS, eventually

BLOCKS_SECONDS = 2
"""As redis-py 8 gives up after 5 s by itself: sooner here."""
TIMES = 2
"""So often each queue is without some of its blocking connections while it is looked at."""


def start(redis_url: str, queue: str, work: Any) -> Any:
    at = urlsplit(redis_url)
    connection = {"host": at.hostname, "port": at.port, "socket_timeout": BLOCKS_SECONDS}
    return bullmq.Worker(queue, work, {"connection": connection})


async def test_idle_python_workers_are_counted_steadily_until_they_close(redis_url: str) -> None:
    door, counted = Door(redis_url), Workers("bull")
    expected, blocking = {"one": 1, "two": 2}, dict[str, int]()
    started, gone = list[Any](), dict.fromkeys(expected, 0)

    async def work(job: Any, token: str) -> None:
        raise AssertionError("there is no job")

    async def look() -> dict[str, int | None]:
        listing = (await door.ask([("CLIENT", "LIST")]))[0]
        assert isinstance(listing, bytes)
        for queue in expected:
            now = sum(
                f"name=bull:{queue} ".encode() in line and b" cmd=bzpopmin " in line for line in listing.splitlines()
            )
            gone[queue] += now < blocking.get(queue, 0)
            blocking[queue] = now
        counted.learn(listing.decode())
        return {queue: counted.of(queue) for queue in expected}

    async def is_waiting_to_block_again() -> bool:
        return (await look())["two"] == 1 and blocking["two"] == 0

    started += [start(redis_url, "one", work), start(redis_url, "two", work)]
    await eventually(is_waiting_to_block_again, what="the connection that is dropped")
    started.append(start(redis_url, "two", work))  # not in step with the other

    async def are_there() -> bool:
        return await look() == expected

    await eventually(are_there, what="three workers")
    gone.update(dict.fromkeys(expected, 0))

    async def looked_at_long_enough() -> bool:
        assert await look() == expected
        return min(gone.values()) >= TIMES

    await eventually(looked_at_long_enough, what="connections that are dropped and opened again")
    for worker in started:
        await asyncio.wait_for(worker.close(), READY_SECONDS)

    async def are_gone() -> bool:
        return await look() == {"one": 0, "two": 0}

    await eventually(are_gone, what="that Redis sees the connections closed")
    await door.close()
