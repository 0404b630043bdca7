"""What Kafka tells of a queue's open jobs after a restart: only what was told since they were stored counts."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from bridge.lag import Lag
from bridge.metrics import Metrics
from bridge.records import Records
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logs.tail import LogTail
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.past import Past
from bridge.sources.bullmq.reconcile.open_jobs import OpenJobs
from bridge.sources.bullmq.reconcile.reconciling import Reconciling
from bridge.sources.bullmq.reconcile.takeup import MOST_REPLAYED, TakeUp
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.tally import Tally
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.watched import Queue
from tocsin.events import VERSION, JobEvent, OpenCursor, State, encode
from tocsin.topics import Topics

PLACE = Place("prod", "main", "mail")
STORED = OpenCursor(
    v=VERSION,
    ts=9,
    last_id="50-0",
    pos=4,
    epoch=2,
    jobs=[(job_id, 5, State.WAITING, "send", 0) for job_id in ("1", "2", "3", "4")],
)


def event(name: str, state: State, job_id: str, epoch: int, stream_id: str, added_at: int = 5) -> JobEvent:
    tail = stream_id or f"c:{job_id}"
    return PLACE.record(
        name, epoch=epoch, tail=tail, ts=1, stream_id=stream_id, state=state, job_id=job_id, added_at=added_at
    )


async def taken_up(told: Sequence[JobEvent]) -> OpenJobs:
    """The open jobs of a queue whose stream no longer holds what came since they were stored."""
    metrics, memory, nothing = Metrics(CollectorRegistry()), QueueMemory(), Records(Topics("t."))
    position = Position("900-0", STORED.pos + MOST_REPLAYED + 1, epoch=2)
    tail = LogTail("main", PLACE, nothing, memory, {}, lambda job_id: False)
    tally = Tally(metrics, PLACE.source, PLACE.queue, 1, int)
    queue = Queue(
        PLACE,
        Keys("bull", PLACE.queue),
        position,
        memory,
        tail,
        Past(position),
        Lag(int),
        tally,
        is_met=True,
        reconciling=Reconciling(OpenJobs(), STORED, position),
    )

    async def read_back(places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
        for one in told:
            yield PLACE.queue, encode(one)

    door: Any = None  # not asked
    await TakeUp(door, read_back).take_up([queue])
    return queue.reconciling.jobs


async def test_what_befell_earlier_jobs_of_the_same_ids_closes_none_that_were_open_since() -> None:
    """A minute more is read back than is needed, and Redis gives ids again after it lost its data."""
    jobs = await taken_up(
        [
            event("completed", State.COMPLETED, "1", 1, "40-0", added_at=3),
            event("reconciled", State.REMOVED, "2", 2, "", added_at=3),
            event("added", State.WAITING, "2", 2, "50-0"),
            event("reconciled", State.REMOVED, "3", 2, ""),
            event("completed", State.COMPLETED, "4", 2, "60-0"),
        ]
    )
    assert [job_id for job_id, _ in jobs.items()] == ["1", "2"]


async def test_correction_of_a_former_job_leaves_the_one_that_has_its_id_since() -> None:
    jobs = await taken_up(
        [
            event("added", State.WAITING, "1", 2, "60-0", added_at=7),
            event("reconciled", State.REMOVED, "1", 2, ""),
            event("reconciled", State.REMOVED, "2", 2, ""),
        ]
    )
    assert {job_id: job.added_at for job_id, job in jobs.items()} == {"1": 7, "3": 5, "4": 5}
