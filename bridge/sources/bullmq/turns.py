"""Who may read one Redis process and hand on what came at the same time.

One lane computes while others wait for Redis; more would hold more in memory, and keep the writers from their turn.
Each process has turns of its own: one that is slow or silent keeps its own lanes waiting, and no other's. Reads that
are sure to bring little go without (lane.py).
"""

import asyncio

LANES_AT_ONCE = 3


class Turns:
    """Of one source, shared by the lanes of all partitions."""

    def __init__(self, at_once: int = LANES_AT_ONCE) -> None:
        self._at_once = at_once
        self._of: dict[str, asyncio.Semaphore] = {}

    def of(self, shard: str) -> asyncio.Semaphore:
        """Hold while that process is read, and what came is put into the outbox. shard: see Door.shard."""
        return self._of.setdefault(shard, asyncio.Semaphore(self._at_once))
