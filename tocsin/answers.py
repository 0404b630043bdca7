"""What one service tells another over HTTP; people's scripts read the same."""

import msgspec


class QueueCounts(msgspec.Struct, kw_only=True, frozen=True):
    """One queue. workers: null = unknown, never 0. oldest_waiting_seconds: null = nothing waits, or unknown."""

    env: str
    source: str
    queue: str
    waiting: int
    active: int
    delayed: int
    prioritized: int
    waiting_children: int
    completed: int
    failed: int
    is_paused: bool
    workers: int | None
    oldest_waiting_seconds: float | None


class QueueItem(QueueCounts, kw_only=True, frozen=True):
    """One queue as it was at a time (RFC 3339)."""

    as_of: str
