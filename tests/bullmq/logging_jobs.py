"""Real Node BullMQ jobs that run, log and end when the test says so.

async with logging_jobs(redis_url, queue="mail", jobs=2) as jobs:
    await jobs.log("1", "a line")
    await jobs.end("1")
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import msgspec

from tests.bullmq import node
from tests.eventually import READY_SECONDS


class LoggingJobs:
    """Jobs "1" … of one queue, all of them active. Each method returns once BullMQ has done it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._told: list[dict[str, str]] = []

    async def running(self, job_id: str) -> None:
        """Wait until an attempt of the job begins."""
        await self._read({"running": job_id})

    async def log(self, job_id: str, *lines: str) -> None:
        await self._order(job_id, log=lines)

    async def clear(self, job_id: str, keep: int = 0) -> None:
        """clearLogs(keep)."""
        await self._order(job_id, clear=keep)

    async def end(self, job_id: str, how: Literal["completed", "failed"] = "completed") -> None:
        """End the attempt."""
        await self._order(job_id, end=how)

    async def _order(self, job_id: str, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"job": job_id, **order}) + b"\n")
        await self._read({"done": job_id})

    async def _read(self, wanted: dict[str, str]) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            while wanted not in self._told:
                line = await self._process.stdout.readline()
                if not line:
                    raise node.ProgramFailed((await self._process.communicate())[1].decode(errors="replace"))
                self._told.append(msgspec.json.decode(line))
        self._told.remove(wanted)


@asynccontextmanager
async def logging_jobs(
    redis_url: str, *, queue: str, jobs: int = 1, keep_logs: int | None = None, attempts: int = 1
) -> AsyncGenerator[LoggingJobs]:
    """Start them; they are killed with the block."""
    options: dict[str, object] = {"redis": redis_url, "queue": queue, "jobs": jobs, "attempts": attempts}
    if keep_logs is not None:
        options["keep-logs"] = keep_logs
    process = await node.start("logging.mjs", options, stdin=asyncio.subprocess.PIPE)
    try:
        running = LoggingJobs(process)
        for number in range(1, jobs + 1):
            await running.running(str(number))
        yield running
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
