"""How long this machine lets everybody wait, so that a bound in seconds can leave that out."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable

_STEP = 0.05


@contextlib.asynccontextmanager
async def stalls() -> AsyncGenerator[Callable[[], float]]:
    """Gives a function: how many seconds in all short sleeps took too long since the beginning, in this process."""
    late = 0.0

    async def tick() -> None:
        nonlocal late
        while True:
            began = time.monotonic()
            await asyncio.sleep(_STEP)
            late += max(0.0, time.monotonic() - began - 2 * _STEP)

    ticking = asyncio.create_task(tick())
    try:
        yield lambda: late
    finally:
        ticking.cancel()
