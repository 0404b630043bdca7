"""Clients of a Kafka that is away: leaving them never takes for ever."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from logsvc.errors import KafkaDown
from logsvc.kafka import DeadLetters, Member
from logsvc.settings import LogsvcSettings
from tocsin.settings import read

DEADLINE = 5.0


class Stuck:
    """A client that connects or not, and never ends."""

    connects = True

    def __init__(self, *_: object, **__: object) -> None: ...

    async def start(self) -> None:
        if not self.connects:
            raise KafkaConnectionError("away")

    async def stop(self) -> None:
        await asyncio.Event().wait()

    close = stop

    async def send_and_wait(self, *_: object, **__: object) -> None: ...


class Away(Stuck):
    connects = False


@pytest.fixture
def settings() -> LogsvcSettings:
    return read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CLICKHOUSE_URL": "chdb:///nowhere"})


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.kafka.CLOSE_SECONDS", 0.01)


async def nothing(_: Any) -> None: ...


def ignore(_: Any) -> None: ...


async def test_the_dead_letters_are_left_in_time(settings: LogsvcSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.kafka.AIOKafkaProducer", Stuck)
    letters = DeadLetters(settings)
    async with asyncio.timeout(DEADLINE):
        await letters.write(b"{}", "id")
        await letters.close()


async def test_the_group_is_left_in_time(settings: LogsvcSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.kafka.AIOKafkaConsumer", Stuck)
    monkeypatch.setattr("logsvc.kafka.AIOKafkaAdminClient", Away)
    member = Member(settings, ["t"], on_assigned=nothing, on_revoked=nothing, on_out_of_range=ignore)
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(KafkaDown):
            await member.__aenter__()
