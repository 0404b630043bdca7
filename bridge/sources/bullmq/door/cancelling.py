"""A connection that ends when it is cancelled."""

import asyncio
from typing import Any, cast


def cancellable(kind: Any) -> Any:
    """The same kind of connection, for one that has a `socket_timeout`.

    redis-py sends under `asyncio.wait_for` then, which before Python 3.12 forgets a cancellation that comes as it ends:
    whoever was cancelled would go on, and whoever waits for his end would wait for ever.
    """

    class Cancellable(kind):
        async def send_packed_command(self, *args: Any, **options: Any) -> None:
            task = cast(asyncio.Task[Any], asyncio.current_task())
            before = task.cancelling()
            await kind.send_packed_command(self, *args, **options)
            if task.cancelling() > before:
                await self.disconnect(nowait=True)  # its reply is not read any more
                raise asyncio.CancelledError

    return cast(Any, Cancellable)
