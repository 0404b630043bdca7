"""What a restart reads of Kafka may take as long as it goes on; one that stands still is given up."""

import asyncio
from typing import Any

import pytest

from bridge.errors import WriterLost
from bridge.kafka import read_newest
from bridge.kafka import reading as module
from bridge.settings import BridgeSettings
from tocsin.settings import read

RECORDS = 30


class Record:
    def __init__(self, at: int) -> None:
        self.key, self.value = b"%d" % at, b"v"


class SlowConsumer:
    """It brings one record every `seconds`; none from `stands_at` on."""

    def __init__(self, seconds: float, stands_at: int) -> None:
        self._seconds = seconds
        self._stands_at = stands_at
        self._at = 0

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, places: Any) -> None: ...
    async def seek_to_beginning(self, place: Any) -> None: ...

    async def getmany(self, *, timeout_ms: int) -> dict[Any, list[Record]]:
        await asyncio.sleep(self._seconds)
        if self._at == self._stands_at:
            return {}
        self._at += 1
        return {module.TopicPartition("t", 0): [Record(self._at)]}

    async def position(self, place: Any) -> int:
        return self._at

    def highwater(self, place: Any) -> int:
        return RECORDS


@pytest.mark.parametrize("stands_at", [RECORDS, 2])
async def test_only_standing_still_is_too_slow(monkeypatch: pytest.MonkeyPatch, stands_at: int) -> None:
    monkeypatch.setattr(module, "RESTORE_SECONDS", 1.0)
    consumer = SlowConsumer(0.05, stands_at)

    def reader(settings: BridgeSettings, client_id: str) -> SlowConsumer:
        return consumer

    monkeypatch.setattr(module, "reader", reader)
    monkeypatch.setattr(module, "close_client", SlowConsumer.stop)
    settings = read(BridgeSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "REDIS_URL": "redis://h:6379/0"})
    restoring = read_newest(settings, "t", 0)
    if stands_at == RECORDS:
        assert len(await restoring) == RECORDS
    else:
        with pytest.raises(WriterLost, match=f"offset 2 of {RECORDS}"):
            await restoring
