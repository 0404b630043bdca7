"""The newest snapshots, as they are read."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from logsvc.deadletters.newest import BuriedLetters
from logsvc.kafka import Reader
from logsvc.partitions import Place
from logsvc.settings import LogsvcSettings
from logsvc.snapshots import Snapshots
from tests.unit.logsvc.records import NOW_MS, FakeRecord
from tocsin.events import DeadLetter, QueueSnapshot, encode
from tocsin.health import Health
from tocsin.settings import read
from tocsin.times import DAY_MS

PLACE = Place("tocsin.queues", 0)


def snapshot(ts: int, waiting: int, queue: str = "orders") -> FakeRecord:
    value = encode(QueueSnapshot(v=1, ts=ts, env="prod", source="main", queue=queue, waiting=waiting))
    return FakeRecord(0, value, key=f"main:{queue}".encode())


@pytest.mark.parametrize("bad", [snapshot(10**15, 2), snapshot(NOW_MS, -1), FakeRecord(0, b"{", key=b"main:orders")])
def test_a_snapshot_that_ingest_buries_is_not_shown(bad: FakeRecord) -> None:
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": "chdb:///nowhere"})
    snapshots = Snapshots(settings, Health())
    snapshots.take("tocsin.queues", snapshot(NOW_MS, 1))
    snapshots.take("tocsin.queues", bad)
    assert [one.waiting for one in snapshots.queues.values()] == [1]


class Reading:
    """A reader on one partition, which tells a record a poll."""

    def __init__(self, records: Sequence[FakeRecord]) -> None:
        self.end = {PLACE: len(records)}
        self._records = records
        self._told = 0

    async def poll(self) -> dict[Place, Sequence[FakeRecord]]:
        self._told += 1
        return {PLACE: self._records[self._told - 1 : self._told]}

    async def positions(self) -> dict[Place, int]:
        return {PLACE: self._told}

    def heard_at(self) -> int:
        return NOW_MS


async def test_what_went_away_while_kafka_did_is_shown_until_all_is_read_again() -> None:
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": "chdb:///nowhere"})
    snapshots, stop, shown = Snapshots(settings, Health()), asyncio.Event(), list[set[bytes]]()
    snapshots.take(PLACE.topic, snapshot(NOW_MS, 1, "gone"))

    def at_end(_: object) -> None:
        shown.append(set(snapshots.queues))
        stop.set()

    reader = Reading([snapshot(NOW_MS, 1), snapshot(NOW_MS, 1, "new")])
    await snapshots._read(cast(Reader, reader), stop, at_end)  # pyright: ignore[reportPrivateUsage]  # Kafka would have to be away for a day
    assert shown == [{b"main:orders", b"main:new"}]


def test_dead_letters_that_kafka_keeps_no_more_are_not_counted() -> None:
    now = NOW_MS
    letters = BuriedLetters(clock=lambda: now)
    letters.begin(before=7)
    for age in (0, 20, 40):
        letter = DeadLetter(
            v=1, id=str(age), ts=0, service="bridge", reason="", origin="", body="", sha256="", length=0
        )
        letters.take(FakeRecord(age, encode(letter), timestamp=now - age * DAY_MS))
    assert letters.count == 7 + 2
    now += 15 * DAY_MS
    assert letters.count == 7 + 1
    now += 16 * DAY_MS
    assert letters.count == 0
