"""An HTTP app of a test's own, served in this process: it answers from the moment that it is used."""

import asyncio
from typing import Any

from tocsin.http import serve_http


async def serving(app: Any, port: int, stop: asyncio.Event) -> asyncio.Task[None]:
    """Serve it on loopback until `stop`; return the task that does, once the port is open. Raises OSError if taken."""
    listens = asyncio.Event()
    task = asyncio.create_task(serve_http(app, "127.0.0.1", port, stop, drain_seconds=1, listening=listens.set))
    opening = asyncio.create_task(listens.wait())
    await asyncio.wait({task, opening}, return_when=asyncio.FIRST_COMPLETED)
    opening.cancel()
    if task.done():
        task.result()
    return task
