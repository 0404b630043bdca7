"""The bot's own view of the queues, and since when it watches each source."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from bot.kafka import KafkaError, KafkaRecord, TableFeed
from bot.queues import snapshots as module
from bot.queues.snapshots import QUIET_SECONDS, Snapshots, follow
from bot.queues.tables import Table
from tests.eventually import READY_SECONDS
from tests.unit.bot.events import NOW_MS
from tocsin.events import VERSION, QueueSnapshot, SourceSnapshot, encode


class Clock:
    """A monotonic clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def record(source: str = "main", *, behind_ms: int = 0) -> KafkaRecord:
    """A snapshot written at NOW_MS by a Redis whose clock is behind."""
    snapshot = QueueSnapshot(v=VERSION, ts=NOW_MS - behind_ms, env="prod", source=source, queue="orders")
    return KafkaRecord(0, 0, f"{source}:orders".encode(), encode(snapshot), NOW_MS)


def test_only_what_arrives_while_we_read_shows_that_a_source_is_watched() -> None:
    clock = Clock()
    snapshots = Snapshots(clock)
    snapshots.take(record())
    assert snapshots.watched(0) == []
    snapshots.take(record(), is_live=True)
    assert snapshots.watched(0) == ["main"]
    assert snapshots.watched(60) == []
    clock.now += 60
    assert snapshots.watched(60) == ["main"]


def test_a_source_that_pauses_is_watched_anew_from_its_return() -> None:
    clock = Clock()
    snapshots = Snapshots(clock)
    for _ in range(40):
        snapshots.take(record(), is_live=True)
        snapshots.take(record("other"), is_live=True)
        clock.now += 30
    assert sorted(snapshots.watched(1200)) == ["main", "other"]
    for _ in range(5):
        snapshots.take(record("other"), is_live=True)
        clock.now += 30
    assert snapshots.watched(1200) == ["other"]
    assert clock.now - 1000 > QUIET_SECONDS
    snapshots.take(record(), is_live=True)
    assert snapshots.watched(1200) == ["other"]
    assert snapshots.watched(0) == ["main", "other"]


def test_a_source_whose_last_queue_is_gone_is_watched_as_long_as_it_is_reached() -> None:
    clock = Clock()
    snapshots = Snapshots(clock, has_caught_up=True)
    table = Table(SourceSnapshot, told=snapshots.hear_of)
    row = SourceSnapshot(v=VERSION, ts=NOW_MS, env="prod", source="main", is_reachable=True)

    def told(row: SourceSnapshot) -> None:
        table.take(KafkaRecord(0, 0, b"main", encode(row), NOW_MS), is_live=True)

    snapshots.take(record())
    told(row)
    assert snapshots.watched(0) == [], "of a source with queues these tell"
    snapshots.take(replace(record(), value=None))
    told(row)
    clock.now += 60
    told(row)
    assert snapshots.watched(60) == ["main"]
    clock.now += QUIET_SECONDS + 1
    told(msgspec.structs.replace(row, is_reachable=False))
    assert snapshots.watched(0) == []


def test_each_redis_clock_is_compared_with_kafkas() -> None:
    snapshots = Snapshots()
    snapshots.take(record(behind_ms=900_000))
    snapshots.take(record("other", behind_ms=-5))
    assert snapshots.skew_ms == {"main": 900_000, "other": -5}


async def test_nobody_reads_a_topic_that_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    looks = iter([False, KafkaError("away"), False, True])
    seen: list[object] = []
    stop = asyncio.Event()

    async def topic_exists() -> bool:
        seen.append(next(looks))
        if isinstance(seen[-1], KafkaError):
            raise seen[-1]
        return bool(seen[-1])

    def open_feed() -> TableFeed:
        stop.set()
        raise KafkaError("opened")

    async with asyncio.timeout(READY_SECONDS):
        await follow(topic_exists, open_feed, Snapshots(), stop)
    assert seen[-1] is True
    assert len(seen) == 4
