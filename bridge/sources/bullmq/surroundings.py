"""What lanes work with: all that those of one source and partition share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bridge.metrics import Metrics
from bridge.outbox import Outbox, Parcel
from bridge.records import Records
from bridge.sources.bullmq.budget import Budget
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.gone import LetGo
from bridge.sources.bullmq.open_jobs import Room
from bridge.sources.bullmq.told import ReadBack


@dataclass(frozen=True, slots=True)
class Surroundings:
    """source: its name. read_back: see told.py. let_go: see gone.py. all_queues: see wakeup.py. room: for
    open jobs, budget: for what else is remembered, shared by all lanes of the process.

    turns: shared by the lanes of all partitions; held while the source's Redis is read and what came is put into the
    outbox, never while that is full.
    tell_uncounted: called when Redis does not count a stream's entries.
    """

    site: str
    source: str
    door: Door
    outbox: Outbox[Parcel]
    records: Records
    metrics: Metrics
    turns: asyncio.Semaphore
    tell_uncounted: Callable[[], None]
    read_back: ReadBack
    let_go: LetGo
    reconcile_seconds: float
    all_queues: Callable[[], int]
    room: Room
    budget: Budget
