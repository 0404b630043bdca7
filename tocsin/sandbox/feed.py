"""What the chat page hears: changes as they happen, each listener with a bounded queue of its own."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

QUEUE_EVENTS = 500
Event = dict[str, Any]
RESYNC: Event = {"type": "resync"}
"""Told in place of what a slow listener missed: load the chat again."""


class Feed:
    """Fans events out. A listener that does not keep up loses events and is told so by one RESYNC."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[Event]] = set()

    def publish(self, event: Event) -> None:
        """Hand an event to every listener; event["chat_id"] says where it happened. Never waits."""
        for queue in self._listeners:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(RESYNC)
            else:
                queue.put_nowait(event)

    @contextmanager
    def listen(self) -> Generator[asyncio.Queue[Event]]:
        """Hear everything from now on until the block ends."""
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_EVENTS)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
