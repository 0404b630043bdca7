"""Records for the bot's unit tests."""

from typing import Any

from bot.queues.state import QueueState
from tocsin.events import VERSION, JobEvent, State

NOW_MS = 1_800_000_000_000


def failed(*, ago_ms: int = 0, **more: Any) -> JobEvent:
    """A final failure, ago_ms before NOW_MS."""
    values: dict[str, Any] = {
        "v": VERSION,
        "id": "main:orders:0:1-0",
        "ts": NOW_MS - ago_ms,
        "env": "prod",
        "source": "main",
        "queue": "orders",
        "epoch": 0,
        "stream_id": "1-0",
        "event": "failed",
        "state": State.FAILED,
        "job_id": "7",
        "job_name": "charge",
        "attempt": 3,
        "max_attempts": 3,
        "error": "card declined",
        "error_type": "CardError",
        "fingerprint": "f1",
    }
    return JobEvent(**{**values, **more})


def queue(name: str = "orders", **more: Any) -> QueueState:
    """A queue at NOW_MS."""
    values: dict[str, Any] = {
        "env": "prod",
        "source": "main",
        "queue": name,
        "waiting": 0,
        "active": 0,
        "delayed": 0,
        "prioritized": 0,
        "waiting_children": 0,
        "completed": 0,
        "failed": 0,
        "is_paused": False,
        "workers": 1,
        "oldest_waiting_seconds": None,
        "as_of_ms": NOW_MS,
    }
    return QueueState(**{**values, **more})
