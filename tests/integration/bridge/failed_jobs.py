"""A queue with many failed jobs, made by hand: what an action on many of them needs."""

from collections import Counter
from typing import Any

FAILED_AT = 1_700_000_000_000


async def make_failed(app: Any, queue: str, count: int) -> list[str]:
    """Jobs that failed, one a millisecond; return their ids, oldest first."""
    pipeline = app.pipeline(transaction=False)
    pipeline.hset(f"bull:{queue}:meta", mapping={"opts.maxLenEvents": 1_000_000, "version": "bullmq:6.7.0"})
    job_ids = [f"job-{number}" for number in range(count)]
    for number, job_id in enumerate(job_ids):
        at = FAILED_AT + number
        job = {"name": "mail", "opts": "{}", "timestamp": FAILED_AT, "finishedOn": at, "failedReason": "boom"}
        pipeline.hset(f"bull:{queue}:{job_id}", mapping=job)
        pipeline.zadd(f"bull:{queue}:failed", {job_id: at})
    await pipeline.execute()
    return job_ids


async def fail_again(app: Any, queue: str) -> int:
    """Every waiting job of the queue fails once more, now; return how many did."""
    waiting = [job_id.decode() for job_id in await app.lrange(f"bull:{queue}:wait", 0, -1)]
    for job_id in waiting:
        await app.lrem(f"bull:{queue}:wait", 0, job_id)
        await app.zadd(f"bull:{queue}:failed", {job_id: FAILED_AT + 1_000_000})
    return len(waiting)


async def retries(app: Any, queue: str) -> Counter[str]:
    """How often each job was retried, by BullMQ's own events."""
    entries = [fields for _, fields in await app.xrange(f"bull:{queue}:events")]
    return Counter(
        fields[b"jobId"].decode()
        for fields in entries
        if fields[b"event"] == b"waiting" and fields.get(b"prev") == b"failed"
    )
