"""How a service lives and stops: named parts that run for ever, a stop event, a drain with a deadline.

A crash of one part cancels the rest: that is safe because positions are committed after the write. A part that returns
before the stop is a failure too: a silent half-dead service is the worst one.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import structlog

log = structlog.get_logger("lifecycle")

Part = Callable[[], Awaitable[None]]
"""One long-running task of a service. It watches the stop event itself and returns once drained."""


class PartExited(RuntimeError):
    """A part returned although nobody asked the service to stop."""


async def supervise(parts: Mapping[str, Part], stop: asyncio.Event, *, drain_seconds: float) -> list[str]:
    """Run parts until stop is set, then let them drain; return the names of those that were late and cancelled.

    Raises an ExceptionGroup: at once when a part crashes or returns before stop is set, the others being cancelled;
    after the drain when a part failed in it, so that one failing flush does not cost the others theirs.
    """
    failures: list[Exception] = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run_forever(name, part, stop, failures), name=name) for name, part in parts.items()]
        await stop.wait()
        _, late = await asyncio.wait(tasks, timeout=drain_seconds)
        for task in late:
            task.cancel()
    if failures:
        raise ExceptionGroup("parts failed while draining", failures)
    return sorted(task.get_name() for task in late)


async def _run_forever(name: str, part: Part, stop: asyncio.Event, failures: list[Exception]) -> None:
    try:
        await unless_cancelled(name, part())
    except Exception as error:
        if not stop.is_set():
            raise
        failures.append(error)
    else:
        if not stop.is_set():
            raise PartExited(f"{name} returned before the service was asked to stop")


async def unless_cancelled(name: str, part: Awaitable[None]) -> None:
    """Await a part. Raises PartExited if it ends by a cancellation that nobody asked for.

    A library may cancel what a part waits for. A task group takes that for a wish, and the part is gone unnoticed: what
    runs in one of its own is begun by this.
    """
    try:
        await part
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise PartExited(f"{name} ended because what it waited for was cancelled") from None


async def close_within(seconds: float, closing: Coroutine[Any, Any, object]) -> None:
    """Await the end of a library's client. Raises TimeoutError if that takes longer, and what it raises.

    It ends in a task of its own. A client that cancels tasks of its own then (aiokafka's do) may take a cancellation of
    us, or by a deadline, for one of theirs and go on: whoever cancelled us would wait for ever. It has its time also
    after we were cancelled, or its connections would be left open. One that its library cancels has ended.
    """
    task = asyncio.create_task(closing)
    _closing.add(task)
    task.add_done_callback(_closed)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        asyncio.get_running_loop().call_later(seconds, task.cancel)
        raise
    if not task.done():
        task.cancel()
        raise TimeoutError
    if not task.cancelled():
        task.result()


_closing: set[asyncio.Task[object]] = set()
"""Nobody else may hold those that nobody waits for."""


def _closed(task: asyncio.Task[object]) -> None:
    _closing.discard(task)
    if not task.cancelled():
        task.exception()  # nobody may ask


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stop`; the second one ends the process at once with status 130."""

    def ask(signum: int) -> None:
        if stop.is_set():
            os._exit(130)
        log.info("stopping", signal=signal.Signals(signum).name)
        stop.set()

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, ask, signum)


async def pause(event: asyncio.Event, seconds: float) -> bool:
    """Wait up to `seconds`, less if event, mostly the stop, is set; return whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def first_set(*events: asyncio.Event, seconds: float) -> None:
    """Wait up to `seconds`, less if any of these is set."""
    waits = [asyncio.create_task(one.wait()) for one in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def run_service(name: str, run: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run a service until a signal stops it; return its exit status: 0 drained, 1 crashed.

    Every error that ended a part is logged, each with its own traceback.
    """

    async def main() -> None:
        stop = asyncio.Event()
        stop_on_signals(stop)
        await run(stop)

    try:
        asyncio.run(main())
    except Exception as crash:  # the last frame of the process: log it and exit 1
        for error in _leaves(crash):
            log.error("service_crashed", service=name, error=type(error).__name__, exc_info=error)
        return 1
    log.info("stopped", service=name)
    return 0


def _leaves(error: Exception) -> list[Exception]:
    if not isinstance(error, ExceptionGroup):
        return [error]
    group: ExceptionGroup[Exception] = error  # pyright: ignore[reportUnknownVariableType]  # isinstance drops the type argument
    return [leaf for inner in group.exceptions for leaf in _leaves(inner)]
