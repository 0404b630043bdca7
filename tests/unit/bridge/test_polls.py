"""How much is asked for the counts and the schedulers of many queues, on a clock that moves only while we wait."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from bridge.errors import SourceUnavailable
from bridge.metrics import Metrics
from bridge.outbox import Outbox
from bridge.partition import polls
from bridge.partition.polls import Polls
from bridge.partition.rounds import QUIET_A_SECOND
from bridge.record import Record
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.door import Command, Reply
from bridge.sources.bullmq.memory import Memories
from bridge.sources.bullmq.snapshots.waiting import Waits
from bridge.sources.bullmq.tally import Tallies
from bridge.sources.bullmq.translate import Place
from tocsin.breakers import Guard
from tocsin.events import QueueSnapshot, SchedulerSnapshot, encode
from tocsin.settings import read
from tocsin.topics import partition_of

QUEUES = 10_000
SECONDS = 200.0


class Asked:
    """A Redis with so many quiet queues. counted, scanned: how often each was asked."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.scanned: Counter[str] = Counter()

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        self.scanned.update(str(command[1]) for command in commands if command[0] == "ZSCAN")
        return [(b"0", []) for _ in commands]

    async def snapshots(self, places: Sequence[Place], waits: Waits) -> list[QueueSnapshot]:
        self.counted.update(place.queue for place in places)
        return []


def alone(queues: Sequence[str]) -> list[Sequence[str]]:
    return [queues]


def never_refuse(record: Record) -> Record:
    raise AssertionError("nothing is too big")


def test_process_that_is_silent_is_asked_behind_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time it is waited for: the counts of the others are not."""
    end, asked, moved = asyncio.Event(), list[str](), SimpleNamespace(last_ts=7)

    async def snapshots(places: Sequence[Place], waits: Waits) -> list[QueueSnapshot]:
        asked.extend(place.queue for place in places)
        if places[0].queue == "silent":
            raise SourceUnavailable("no answer")
        return []

    async def pause(stop: asyncio.Event, seconds: float) -> bool:
        if len(asked) > 2:
            stop.set()
        moved.last_ts += 1
        return stop.is_set()

    async def nothing_told(settings: BridgeSettings, topic: str, partition: int, guard: Guard) -> dict[bytes, bytes]:
        return {}

    def each(queues: Iterable[str]) -> list[list[str]]:
        return [[queue] for queue in sorted(queues, reverse=True)]

    monkeypatch.setattr(polls, "pause", pause)
    monkeypatch.setattr(polls, "read_newest", nothing_told)
    settings = read(BridgeSettings, {"REDIS_URL": "redis://nowhere", "KAFKA_BOOTSTRAP_SERVERS": "nowhere:1"})
    places = {queue: Place("prod", "main", queue) for queue in ("silent", "other")}
    source: Any = SimpleNamespace(
        source=settings.sources[0],
        door=SimpleNamespace(ask=Asked().ask, now_ms=lambda: 0, may_lag=False),
        snapshots=snapshots,
        count_queues=lambda: 2,
        by_shard=each,
    )
    tallies = cast(Tallies, dict.fromkeys(places, moved))
    whole = partition_of("main", "", settings.kafka_partitions)

    async def run() -> None:
        outbox, metrics = Outbox(never_refuse, list[Record]), Metrics(CollectorRegistry())
        theirs = places, tallies, Memories(), asyncio.Lock(), outbox, metrics
        await Polls(settings, source, (whole + 1) % 8, *theirs, asyncio.timeout).poll(end)

    asyncio.run(run())
    assert asked == ["silent", "other", "other", "silent"]


def test_quiet_queues_are_asked_in_rounds_for_their_schedulers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, end, clock = Asked(), asyncio.Event(), SimpleNamespace(now=1000.0)

    async def pause(stop: asyncio.Event, seconds: float) -> bool:
        clock.now += seconds
        if clock.now >= 1000 + SECONDS:
            stop.set()
        return stop.is_set()

    async def nothing_told(settings: BridgeSettings, topic: str, partition: int, guard: Guard) -> dict[bytes, bytes]:
        gone = SchedulerSnapshot(v=1, ts=0, env="prod", source="main", queue="gone", scheduler="poll")
        return {b"main:gone:poll": encode(gone)}

    monkeypatch.setattr(polls, "pause", pause)
    monkeypatch.setattr(polls, "read_newest", nothing_told)
    monkeypatch.setattr(polls, "time", SimpleNamespace(monotonic=lambda: clock.now))
    settings = read(BridgeSettings, {"REDIS_URL": "redis://nowhere", "KAFKA_BOOTSTRAP_SERVERS": "nowhere:1"})
    places = {f"q{number}": Place("prod", "main", f"q{number}") for number in range(QUEUES)}
    source: Any = SimpleNamespace(
        source=settings.sources[0],
        door=SimpleNamespace(ask=asked.ask, now_ms=lambda: 0, may_lag=False),
        snapshots=asked.snapshots,
        count_queues=lambda: QUEUES,
        by_shard=alone,
    )
    tallies = cast(Tallies, dict.fromkeys(places, SimpleNamespace(last_ts=7)))
    outbox, metrics = Outbox(never_refuse, list[Record]), Metrics(CollectorRegistry())
    whole = partition_of("main", "", settings.kafka_partitions)

    async def run() -> None:
        theirs = places, tallies, Memories(), asyncio.Lock()
        mine = Polls(settings, source, (whole + 1) % 8, *theirs, outbox, metrics, asyncio.timeout)
        await mine.poll(end)

    asyncio.run(run())
    most = QUEUES + QUIET_A_SECOND * SECONDS * 1.2
    assert sum(asked.counted.values()) <= most
    assert sum(asked.scanned.values()) <= most
    assert set(asked.counted) == set(places)
    assert min(asked.scanned[f"bull:{queue}:repeat"] for queue in places) >= 3, "every 50 s"
    assert asked.scanned["bull:gone:repeat"] == 2, "until its scheduler is known to be gone"
    records, _ = outbox.take()
    assert [record.key for record in records if record.value is None] == [b"main:gone:poll"]
