"""What keeps a consumer's place in its group: tasks of aiokafka's, which an end that did not get done leaves behind."""

import asyncio
from typing import Any


def tasks_of_place(consumer: Any) -> list[asyncio.Task[Any]]:
    """What keeps its place; none of a consumer that is in no group, or was never started."""
    names = "_coordination_task", "_heartbeat_task", "_commit_refresh_task"
    found = (getattr(consumer._coordinator, name, None) for name in names)
    return [task for task in found if task is not None]


def give_up_place(consumer: Any) -> None:
    """End that, and what fetches, of one that could not leave its group: it would connect again, and hold partitions.

    Of one that has ended nothing is left to end.
    """
    fetcher = consumer._fetcher
    fetching = [] if fetcher is None else [fetcher._fetch_task, *fetcher._pending_tasks]
    for task in (*tasks_of_place(consumer), *fetching):
        task.cancel()
