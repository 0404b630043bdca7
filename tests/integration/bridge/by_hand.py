"""BullMQ's queues as far as their streams go, written by hand: what a test needs to know exactly."""

from typing import Any


async def make_queue(app: Any, queue: str, *, max_len: int = 10_000) -> None:
    """The queue's meta hash: by it a queue is found."""
    await app.hset(f"bull:{queue}:meta", mapping={"opts.maxLenEvents": max_len, "version": "bullmq:6.7.0"})


async def add_events(app: Any, queue: str, count: int, *, max_len: int | None = None, first: int = 0) -> list[str]:
    """`added` events of jobs numbered from `first`, trimmed exactly; return their ids."""
    pipe = app.pipeline(transaction=False)
    for number in range(first, first + count):
        fields = {"event": "added", "jobId": f"job-{number}", "name": "send"}
        pipe.xadd(f"bull:{queue}:events", fields, maxlen=max_len, approximate=False)
    return [id.decode() for id in await pipe.execute()]


async def entries_added(app: Any, queue: str) -> int:
    """Redis's own count of all entries ever added to the stream."""
    return (await app.xinfo_stream(f"bull:{queue}:events"))["entries-added"]
