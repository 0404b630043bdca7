"""Repeats a call until the dependency it needs is well again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from prometheus_client import Counter

from logsvc.errors import KafkaDown, QueryTooHeavy, StoreDown
from tocsin.lifecycle import pause

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 15.0

T = TypeVar("T")


class GaveUp(Exception):
    """We were told to stop while a dependency was down. What was being stored is on record for the next owner."""


class Patience:
    """Waits for Kafka and ClickHouse on behalf of one lane. reason: what has failed just now; "" = nothing."""

    def __init__(self, stop: asyncio.Event, failures: Counter, log: Any) -> None:
        self.reason = ""
        self._stop = stop
        self._failures = failures
        self._log = log

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat call until it succeeds. Raises GaveUp if told to stop meanwhile."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            try:
                result = await call()
            except (StoreDown, KafkaDown, QueryTooHeavy) as error:
                self.reason = str(error)
                self._failures.inc()
                self._log.warning("retrying", error=type(error).__name__, reason=str(error), seconds=backoff)
                if await pause(self._stop, backoff):
                    raise GaveUp from error
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
            else:
                self.reason = ""
                return result
