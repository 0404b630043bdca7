"""The sample app is a real BullMQ app: its queues fill, finish, retry and fail, and it ends when asked."""

import asyncio
import os
import signal
import sys

from tests.clients import redis
from tests.eventually import READY_SECONDS, eventually


async def test_jobs_of_every_queue_finish_and_some_fail(redis_url: str) -> None:
    argv = ["-m", "tocsin.stack.workload", "--rate", "20", "--seed", "1"]
    app = await asyncio.create_subprocess_exec(sys.executable, *argv, env={**os.environ, "REDIS_URL": redis_url})
    try:
        async with redis.Redis.from_url(redis_url, decode_responses=True) as client:

            async def finished(state: str) -> dict[str, int]:
                queues = [key.split(":")[1] async for key in client.scan_iter("bull:*:meta", count=1000)]
                return {queue: await client.zcard(f"bull:{queue}:{state}") for queue in queues}

            async def all_complete() -> bool:
                counts = await finished("completed")
                return len(counts) == 6 and all(counts.values())

            async def some_fail() -> bool:
                return sum((await finished("failed")).values()) > 0

            await eventually(all_complete, what="a completed job in each queue")
            await eventually(some_fail, what="a job that failed for good")
            queue = next(queue for queue, count in (await finished("failed")).items() if count)
            [job_id] = await client.zrange(f"bull:{queue}:failed", 0, 0)
            job = await client.hgetall(f"bull:{queue}:{job_id}")
            assert job["failedReason"]
            assert "Traceback" in job["stacktrace"]
            assert await client.exists("bull:reports:repeat"), "a job scheduler is there"
    finally:
        app.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(app.wait(), READY_SECONDS) == 0


async def test_it_says_what_it_lacks() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    app = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tocsin.stack.workload", env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await app.communicate()
    assert (app.returncode, errors) == (2, b"REDIS_URL: required, not set\n")
