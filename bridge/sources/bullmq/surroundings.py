"""What lanes work with: all that those of one source and partition share."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.metrics import Metrics
from bridge.outbox import Outbox, Parcel
from bridge.records import Records
from bridge.sources.bullmq.budget import Budget
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.gaps.told import ReadBack
from bridge.sources.bullmq.gone import LetGo
from bridge.sources.bullmq.reconcile.open_jobs import Room
from bridge.sources.bullmq.turns import Turns


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Lives as long as the source is read in this partition; `door`, `room` and `budget` are shared by all lanes."""

    site: str
    source: str
    """The source's name."""
    door: Door
    outbox: Outbox[Parcel]
    records: Records
    metrics: Metrics
    turns: Turns
    """Shared by the lanes of all partitions; never held while the outbox is full."""
    tell_uncounted: Callable[[], None]
    """Called when Redis does not count a stream's entries."""
    read_back: ReadBack
    """See gaps/told.py."""
    let_go: LetGo
    """See gone.py."""
    reconcile_seconds: float
    all_queues: Callable[[], int]
    """See wakeup.py."""
    room: Room
    """For open jobs."""
    budget: Budget
    """For what else is remembered."""
