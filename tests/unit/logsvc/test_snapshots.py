"""The newest snapshots, as they are read."""

import pytest

from logsvc.settings import LogsvcSettings
from logsvc.snapshots import Snapshots
from tests.unit.logsvc.records import NOW_MS, FakeRecord
from tocsin.events import QueueSnapshot, encode
from tocsin.health import Health
from tocsin.settings import read


def snapshot(ts: int, waiting: int) -> FakeRecord:
    value = encode(QueueSnapshot(v=1, ts=ts, env="prod", source="main", queue="orders", waiting=waiting))
    return FakeRecord(0, value, key=b"main:orders")


@pytest.mark.parametrize("bad", [snapshot(10**15, 2), snapshot(NOW_MS, -1), FakeRecord(0, b"{", key=b"main:orders")])
def test_a_snapshot_that_ingest_buries_is_not_shown(bad: FakeRecord) -> None:
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": "chdb:///nowhere"})
    snapshots = Snapshots(settings, Health())
    snapshots.take("tocsin.queues", snapshot(NOW_MS, 1))
    snapshots.take("tocsin.queues", bad)
    assert [one.waiting for one in snapshots.queues.values()] == [1]
