"""Wait for a condition, with a deadline: never a sleep that hopes."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

READY_SECONDS = 180
"""How long a service may take to be ready, and whatever else must come: a busy machine fails no test."""


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], *, seconds: float = READY_SECONDS, what: str = "the condition"
) -> float:
    """Wait until condition() holds and return how many seconds that took; fail the test at the deadline."""
    started = time.monotonic()
    while True:
        outcome = condition()
        if await outcome if inspect.isawaitable(outcome) else outcome:
            return time.monotonic() - started
        waited = time.monotonic() - started
        if waited > seconds:
            raise AssertionError(f"{what} did not come true within {seconds:g} s")
        # Often at first; who has waited for seconds can wait for a tenth of one, and what is asked has work to do.
        await asyncio.sleep(min(0.1, 0.02 + waited / 20))
