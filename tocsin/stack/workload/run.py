"""Producers and workers of the sample app in one process, until told to stop."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import bullmq as bullmq_library  # pyright: ignore[reportMissingTypeStubs]: it has none

from tocsin.stack.workload import emails, orders, payments, reports, thumbnails, webhooks
from tocsin.stack.workload.line import Job, Line

bullmq: Any = bullmq_library

LINES = (emails.LINE, payments.LINE, thumbnails.LINE, reports.LINE, webhooks.LINE, orders.LINE)
_KEPT = {"removeOnComplete": {"count": 500}, "removeOnFail": {"count": 300}}
_MOST_WAITING = 200
_CLEANUP_EVERY_MS = 15_000
_AGAIN_SECONDS = 2.0
_DRAIN_SECONDS = 5.0


async def run(redis_url: str, *, rate: float, seed: int | None) -> None:
    """Run the app until SIGTERM or SIGINT. rate 2 doubles the jobs; a seed makes the choices (not the times) repeat."""
    rng = random.Random(seed)
    queues = {line.queue: bullmq.Queue(line.queue, {"connection": redis_url}) for line in LINES}
    flows = bullmq.FlowProducer(redis_url)
    options = {"connection": redis_url, **_KEPT}
    workers = [
        bullmq.Worker(
            line.queue,
            _processor(line, rng),
            {**options, "name": f"worker-{os.getpid()}", "concurrency": line.concurrency},
        )
        for line in LINES
    ]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(_produce(line, queues[line.queue], rng, rate)) for line in LINES]
    tasks.append(
        asyncio.create_task(_again_and_again(lambda: flows.add(orders.flow(rng)), rng, orders.EVERY_SECONDS / rate))
    )
    tasks.append(asyncio.create_task(_schedule(queues["reports"])))
    await stop.wait()
    for task in tasks:
        task.cancel()
    # A library may swallow a cancellation: no wait here is for ever, and the loop's own end cancels once more.
    await asyncio.wait(tasks, timeout=_DRAIN_SECONDS)
    for some in (workers, [*queues.values(), flows]):
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await asyncio.gather(*(each.close() for each in some), return_exceptions=True)


def _processor(line: Line, rng: random.Random) -> Callable[[Job, str], Awaitable[Any]]:
    async def process(job: Job, _token: str) -> Any:
        return await line.handle(job, rng)

    return process


async def _produce(line: Line, queue: Any, rng: random.Random, rate: float) -> None:
    async def add() -> None:
        if await queue.getWaitingCount() < _MOST_WAITING:
            sample = line.sample(rng)
            await queue.add(sample.name, dict(sample.data), {**_KEPT, **sample.options})

    await _again_and_again(add, rng, line.every_seconds / rate)


async def _again_and_again(act: Callable[[], Awaitable[Any]], rng: random.Random, every_seconds: float) -> None:
    """Act at random times, every_seconds apart on average; while Redis is away, wait and go on."""
    while True:
        await asyncio.sleep(rng.expovariate(1 / every_seconds))
        try:
            await act()
        except Exception as error:  # noqa: BLE001 - the loop that must live on, whatever Redis says
            print(f"redis: {type(error).__name__}: {error}", flush=True)
            await asyncio.sleep(_AGAIN_SECONDS)


async def _schedule(queue: Any) -> None:
    await queue.upsertJobScheduler(
        "nightly-cleanup", {"every": _CLEANUP_EVERY_MS}, "cleanup", {"shop": "Berlin"}, {**_KEPT}
    )
