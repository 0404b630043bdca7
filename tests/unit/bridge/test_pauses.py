"""That a queue is paused is told once, whatever comes between the mender, the lane and their outbox."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.lag import Lag
from bridge.metrics import Metrics
from bridge.outbox import MAX_BYTES, Outbox
from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq import stream
from bridge.sources.bullmq.gaps.mender import Mender
from bridge.sources.bullmq.gaps.work import Work
from bridge.sources.bullmq.groups import Batch, groups
from bridge.sources.bullmq.handover import Handover
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logs.tail import LogTail
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.past import Past
from bridge.sources.bullmq.reconcile.reconciler import Reconciler
from bridge.sources.bullmq.stream import Gap, Info, Position, Reading
from bridge.sources.bullmq.tally import Tally
from bridge.sources.bullmq.translate import Place, translate
from bridge.sources.bullmq.watched import Queue, Read
from tests.eventually import READY_SECONDS
from tests.unit.bridge.entries import PLACE, entry_of
from tocsin.events import Cursor, JobEvent, decode
from tocsin.topics import Topics

RECORDS = Records(Topics("t."))
LAST, GAP = "5000-0", Gap(1000, 4000)
AT_ITS_END = Info(1, LAST, 9, LAST, holds_last=True)


class Door:
    """Redis with a queue of no jobs that is paused, and nothing to read. meanwhile: done when first asked."""

    meanwhile: Callable[[], None] | None = None

    def now_ms(self) -> int:
        return 2_000_000

    def say_any_refused(self, *_: object, **__: object) -> None: ...

    async def ask(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        paused = [b"1"]
        if commands[0][0] == "HMGET" and self.meanwhile is not None:
            self.meanwhile()
            self.meanwhile = None
        if commands[0][0] == "MULTI":
            entry = [LAST.encode(), [b"event", b"added", b"jobId", b"1"]]
            info = [b"length", 1, b"last-generated-id", LAST.encode(), b"entries-added", 9, b"first-entry", entry]
            return [b"OK", *[b"QUEUED"] * (len(commands) - 2), [info, [[b"k", [entry]]], paused]]
        return [paused if command[0] == "HMGET" else 0 if command[0] == "ZCOUNT" else [] for command in commands]


async def nothing_told(places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
    for _ in ():
        yield "", b""


class Scene:
    """A queue in a lane, of which no pause was told yet, and what is committed of it: nothing without Kafka."""

    def __init__(self) -> None:
        self.outbox = Outbox(lambda record: record, list[Record])
        self.door = Door()
        door: Any = self.door
        around: Any = type("Around", (), {})()
        metrics = Metrics(CollectorRegistry())
        around.site, around.door, around.outbox, around.records, around.metrics = (
            "main", door, self.outbox, RECORDS, metrics,
        )  # fmt: skip
        position = Position(LAST, 9, gaps=(GAP,), is_paused=False)
        memory = QueueMemory()
        self.queue = Queue(
            PLACE,
            Keys("bull", PLACE.queue),
            position,
            memory,
            LogTail("main", PLACE, RECORDS, memory, {}, lambda job_id: False),
            Past(position),
            Lag(door.now_ms),
            Tally(metrics, PLACE.source, PLACE.queue, 1, door.now_ms),
            is_met=True,
        )
        parts = "main", door, self.outbox, RECORDS
        last_lines: Any = None
        self._mender = Mender(*parts, nothing_told, last_lines, asyncio.Lock())
        reconciler = Reconciler(*parts, every_seconds=10)
        self._handover = Handover(around, reconciler, lambda queue: None, lambda queue: asyncio.sleep(0))
        self.has_kafka = asyncio.Event()
        self.has_kafka.set()
        self.told: list[str] = []
        self.paused: list[bool | None] = []

    async def mend(self) -> None:
        await self._mender.mend([Work(self.queue, GAP)])

    async def hand_on(self, reading: Reading) -> None:
        async with self.queue.moving:
            await self._handover.hand_on(Read(reading, reading.entries, queue=self.queue))

    async def commit(self) -> None:
        """What Kafka does, until it is stopped."""
        while await self.outbox.wait():
            await self.has_kafka.wait()
            records, committed = self.outbox.take()
            for record in records:
                if record.topic == "t.jobs":
                    self.told.append(decode(JobEvent, record.value or b"").event)
                elif record.key == b"main:main:mail":
                    self.paused.append(decode(Cursor, record.value or b"").is_paused)
            for tell in committed:
                tell()


async def in_time(scene: Scene, act: Callable[[], Any]) -> None:
    """Do this while Kafka commits, until it has committed all of it."""
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(scene.commit())
        await act()
        scene.outbox.close()


@pytest.mark.parametrize("is_more", [False, True])
async def test_what_was_read_before_a_pause_was_told_does_not_unmake_it(is_more: bool) -> None:
    scene = Scene()
    entries = [entry_of("5001-0", {"event": "drained"})] if is_more else []
    reading = stream.advance(scene.queue.position, AT_ITS_END, entries, 100)

    async def act() -> None:
        await scene.mend()
        await scene.hand_on(reading)
        await scene.mend()

    await in_time(scene, act)
    assert scene.told.count("paused") == 1
    assert scene.queue.position.is_paused
    assert scene.paused[-1], "a bridge that is started now knows it"


async def test_a_pause_that_could_not_be_put_is_told_by_the_next_who_mends() -> None:
    scene = Scene()
    full = [Record.of("t.logs", b"k", b"x" * 1000, partition=0)] * (MAX_BYTES // 1000)
    asked = asyncio.Event()

    def fill() -> None:
        scene.has_kafka.clear()
        scene.outbox.add(full)
        asked.set()

    async def act() -> None:
        scene.door.meanwhile = fill
        stuck = asyncio.create_task(scene.mend())
        await asked.wait()
        await asyncio.wait({stuck}, timeout=0.2)
        assert not stuck.done()
        stuck.cancel()  # another queue of the lane was begun anew
        await asyncio.gather(stuck, return_exceptions=True)
        scene.has_kafka.set()
        await scene.mend()

    await in_time(scene, act)
    assert scene.told == ["paused"]


def test_each_group_of_a_batch_knows_what_was_told_until_there() -> None:
    big = '"' + "x" * 200_000 + '"'
    entries = [
        entry_of("1000-0", {"event": "paused"}),
        *(entry_of(f"{number}-0", {"event": "progress", "jobId": "1", "data": big}) for number in range(1001, 1100)),
        entry_of("1200-0", {"event": "resumed"}),
    ]
    reading = Reading(entries, Position(entries[-1].id, len(entries)))
    translated = translate(PLACE, reading, entries, {}, QueueMemory())
    made = groups("main", RECORDS, PLACE, Batch(reading, entries), translated, 1, {})
    cursors = [record for group in made for record in group.records if record.key == b"main:main:mail"]
    assert [decode(Cursor, record.value or b"").is_paused for record in cursors] == [*[True] * (len(made) - 1), False]
    assert len(made) > 1
