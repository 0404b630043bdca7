"""Threads for calls that block, which hold up nobody's end."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
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
