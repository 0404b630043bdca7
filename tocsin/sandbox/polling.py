"""The long poll: one getUpdates may wait; a newer one ends it with 409, as Telegram does."""

import asyncio
from typing import Literal

Ending = Literal["update", "timeout", "conflict", "webhook", "closing"]


class Polling:
    """At most one waiting call. Nothing here survives a restart, and nothing needs to."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[Ending] | None = None
        self._is_closing = False

    @property
    def is_waiting(self) -> bool:
        return self._waiting is not None

    def end(self, why: Ending) -> None:
        """End the waiting call, if there is one."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(why)

    def close(self) -> None:
        """Let the waiting call end, and none wait any more: the sandbox stops."""
        self._is_closing = True
        self.end("closing")

    async def wait(self, seconds: float) -> Ending:
        """Wait for an update, the deadline, a newer call or the end; say which it was."""
        if self._is_closing:
            return "closing"
        self.end("conflict")
        waiting: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError:
            return "timeout"
        finally:
            if self._waiting is waiting:
                self._waiting = None
