"""Breakers around a source's Redis: one for each process that is asked, so that one that is away stops no other.

A call is a whole pipeline, so this costs nothing an event. Loops ask by themselves again and again: their own calls try
whether a process is back, and soon, since what BullMQ trims meanwhile is lost.
"""

import asyncio

from redis.exceptions import RedisError

from tocsin.breakers import Breakers, Guard

RESET_SECONDS = 0.5


class Guards:
    """The guards of one source, each shared by whoever asks that process; without breakers they are deadlines alone."""

    def __init__(self, source: str = "", breakers: Breakers | None = None) -> None:
        self._source = source
        self._breakers = breakers

    def of(self, process: str = "") -> Guard:
        """process: what tells it from others of the source; its only one has no name."""
        if self._breakers is None:
            return asyncio.timeout
        return self._breakers.guard_loops(
            self._name(process), errors_that_count=(RedisError, OSError), reset_seconds=RESET_SECONDS
        )

    def forget(self, process: str) -> None:
        """It has left the cluster."""
        if self._breakers is not None:
            self._breakers.forget(self._name(process))

    def _name(self, process: str) -> str:
        return f"redis:{self._source}/{process}" if process else f"redis:{self._source}"
