"""Threads for calls that block, which hold up nobody's end."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any


class Workers(Executor):
    """A few threads that run calls in the order they were given.

    The standard library's pool waits for its threads at the end of the process, however long a call hangs; these are
    daemons, and `leave` says when it stops waiting.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run fn in one of the threads. Raises RuntimeError once closed."""
        if self._is_closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[Any] = Future()

        def call() -> None:
            if self._is_closed or not future.set_running_or_notify_cancel():
                future.cancel()
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  # whatever it is belongs to the caller
                future.set_exception(error)

        self._calls.put(call)
        return future

    def close(self) -> None:
        """Begin no more calls; those that wait are cancelled."""
        self._is_closed = True
        for _ in self._threads:
            self._calls.put(None)

    def leave(self, seconds: float) -> bool:
        """Wait for the calls under way; return whether all have ended."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class Turn(Executor):
    """One call's way to some threads. It is over once the call has ended there, although nobody may wait for it."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._call: Future[Any] | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run fn in one of the threads."""
        self._call = self._workers.submit(fn, *args, **kwargs)
        return self._call

    def leave(self, over: Callable[[], None]) -> None:
        """Nobody waits any more: call `over` in this loop, now or when the call has ended."""
        if self._call is None or self._call.done():
            over()
            return
        loop = asyncio.get_running_loop()

        def ended(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed: whom would it concern?
                loop.call_soon_threadsafe(over)

        self._call.add_done_callback(ended)
