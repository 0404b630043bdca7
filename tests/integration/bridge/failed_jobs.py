"""A queue with many failed jobs, made by hand: what an action on many of them needs."""

from collections import Counter
from typing import Any

FAILED_AT = 1_700_000_000_000
FAIL_AGAIN = """
local waiting = redis.call('LRANGE', KEYS[1], 0, -1)
for _, id in ipairs(waiting) do redis.call('ZADD', KEYS[2], ARGV[1], id) end
redis.call('DEL', KEYS[1])
return #waiting
"""


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
    return int(await app.eval(FAIL_AGAIN, 2, f"bull:{queue}:wait", f"bull:{queue}:failed", FAILED_AT + 1_000_000))


async def retries(app: Any, queue: str) -> Counter[str]:
    """How often each job was retried, by BullMQ's own events."""
    entries = [fields for _, fields in await app.xrange(f"bull:{queue}:events")]
    return Counter(
        fields[b"jobId"].decode()
        for fields in entries
        if fields[b"event"] == b"waiting" and fields.get(b"prev") == b"failed"
    )
