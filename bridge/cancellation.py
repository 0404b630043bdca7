"""Tells "I was cancelled" from "what I waited for was": a task group takes both for a wish, and loses the part."""

import asyncio
from collections.abc import Awaitable

from tocsin.lifecycle import PartExited


async def unless_cancelled(name: str, part: Awaitable[None]) -> None:
    """Await a part. Raises PartExited if it ends by a cancellation that nobody asked for."""
    try:
        await part
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise PartExited(f"{name} ended because what it waited for was cancelled") from None
