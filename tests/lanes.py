"""One lane on a Redis, with a writer that the caller plays: nothing was told before, and no queue may be let go."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from bridge.lag import Lag
from bridge.metrics import Metrics
from bridge.outbox import Outbox
from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq.budget import Budget
from bridge.sources.bullmq.cursors import Restored
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.gaps.told import ReadBack
from bridge.sources.bullmq.gone import LetGo
from bridge.sources.bullmq.lane import Lane
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.reconcile.open_jobs import Room
from bridge.sources.bullmq.source import BullmqSource
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.surroundings import Surroundings
from bridge.sources.bullmq.tally import Tally
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.turns import Turns
from bridge.sources.bullmq.watched import Queue
from tests.eventually import READY_SECONDS
from tocsin.events import JobEvent, decode
from tocsin.topics import Topics


def _nothing() -> None:
    pass


async def _nothing_told(places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
    for record in ():
        yield record


async def _never_let_go(queue: Queue, records: Sequence[Record]) -> None:
    raise AssertionError(f"{queue.place.queue} is there")


def lane_on(
    door: Door,
    outbox: Outbox[list[Record]],
    metrics: Metrics,
    *,
    tell_uncounted: Callable[[], None] = _nothing,
    reconcile_seconds: float = 3600,
    read_back: ReadBack = _nothing_told,
    room: Room | None = None,
    budget: Budget | None = None,
    turns: Turns | None = None,
    let_go: LetGo = _never_let_go,
) -> Lane:
    """A lane of the source `main`."""
    told = tell_uncounted, read_back, let_go
    shared = Records(Topics("t.")), metrics, turns or Turns()
    shares = room or Room(), budget or Budget()
    return Lane(Surroundings("main", "main", door, outbox, *shared, *told, reconcile_seconds, int, *shares))


def read_in(
    lane: Lane,
    door: Door,
    metrics: Metrics,
    queue: str,
    position: Position | None = None,
    restored: Restored | None = None,
) -> QueueMemory:
    """Give a queue to a lane; it begins at first contact, unless a position is given."""
    tally = Tally(metrics, "main", queue, 1, door.now_ms)
    start = position or Position(is_first_contact=True)
    return lane.add(Place("prod", "main", queue), "bull", start, restored or Restored(), Lag(door.now_ms), tally)


def new_metrics() -> Metrics:
    """On a registry of their own."""
    return Metrics(CollectorRegistry())


class Kafka:
    """What was committed, and how it is told again. asked: how often; is_slow: it is never told in time.

    values: of the jobs topic; records: of all.
    """

    def __init__(self) -> None:
        self.outbox = Outbox(lambda record: record, list[Record])
        self.values: list[bytes] = []
        self.records: list[Record] = []
        self.asked: list[list[str]] = []
        self.is_slow = False

    def commit(self) -> None:
        """Take a transaction from the outbox."""
        records, committed = self.outbox.take()
        self.records += records
        self.values += [record.value or b"" for record in records if record.topic == "t.jobs"]
        for tell in committed:
            tell()

    @property
    def events(self) -> list[JobEvent]:
        """All of them until now."""
        self.commit()
        return [decode(JobEvent, value) for value in self.values]

    def of(self, job_id: str) -> list[JobEvent]:
        return [event for event in self.events if event.job_id == job_id]

    async def read_back(self, places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
        self.asked.append([place.queue for place in places])
        if self.is_slow:
            raise TimeoutError
        queues = [place.queue for place in places]
        for event, value in zip(self.events, self.values, strict=True):
            if event.queue in queues:
                yield event.queue, value


@asynccontextmanager
async def discovering(source: BullmqSource) -> AsyncGenerator[None]:
    """The source looks for queues; it is closed afterwards."""
    end = asyncio.Event()
    task = asyncio.create_task(source.run(end))
    try:
        yield
    finally:
        end.set()
        await task
        await source.close()


@asynccontextmanager
async def lane_reading(redis_url: str, kafka: Kafka, *queues: str) -> AsyncGenerator[None]:
    """A lane reads these queues from first contact, and compares them with Redis often."""
    door, metrics, end = Door(redis_url), new_metrics(), asyncio.Event()
    lane = lane_on(door, kafka.outbox, metrics, reconcile_seconds=0.3, read_back=kafka.read_back)
    for queue in queues:
        read_in(lane, door, metrics, queue)
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        yield
        end.set()
    await door.close()
