"""One kind of work of the sample app: what it adds to its queue and how it handles it."""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Data = Mapping[str, Any]


class Job(Protocol):
    """What a handler uses of a BullMQ job."""

    name: str
    data: Any
    attemptsMade: int

    async def log(self, logRow: str) -> int: ...
    async def updateProgress(self, progress: Any) -> Any: ...


@dataclass(frozen=True)
class Sample:
    """A job to add; options are BullMQ's."""

    name: str
    data: Data
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """A queue with its producer and its workers. every_seconds: mean time between jobs, which come at random."""

    queue: str
    every_seconds: float
    concurrency: int
    sample: Callable[[random.Random], Sample]
    handle: Callable[[Job, random.Random], Awaitable[Any]]


def retries(attempts: int, delay_ms: int) -> dict[str, Any]:
    """Options for exponential backoff."""
    return {"attempts": attempts, "backoff": {"type": "exponential", "delay": delay_ms}}
