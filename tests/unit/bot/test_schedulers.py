"""Schedules that are more than history tells at once."""

from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from bot import texts
from bot.commands import schedulers
from bot.commands.schedulers import SchedulersCommand
from bot.delivery.messages import Ask
from bot.desk import Desk
from bot.kafka import KafkaRecord
from bot.logsvc import History
from bot.queues.tables import Table
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.events import VERSION, SchedulerSnapshot, encode
from tocsin.settings import Settings, read


async def test_of_more_schedules_than_history_tells_all_are_counted_and_the_overdue_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedulers, "AT_MOST", 2)
    settings, registry = read(Settings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}), CollectorRegistry()
    table = Table(SchedulerSnapshot)
    for number in range(4):
        name = f"tenant-{number}"
        one = SchedulerSnapshot(v=VERSION, ts=1, env="prod", source="main", queue="mail", scheduler=name, every=1000)
        late = replace(one, is_overdue=number == 3, overdue_seconds=600.0)
        table.take(KafkaRecord(0, number, name.encode(), encode(late), 1))

    def age(_: float | None) -> float:
        return 1.0

    def answer(request: httpx.Request) -> httpx.Response:
        most = int(request.url.params["limit"])
        items = [{"queue": "mail", "scheduler": f"tenant-{number}"} for number in range(4)]
        cursor = "more" if most < len(items) else None
        return httpx.Response(200, json={"items": items[:most], "as_of": None, "next_cursor": cursor})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        history = History(settings, Directory(settings, registry), Breakers(settings, registry), client)
        pulse = SimpleNamespace(seconds_since=age)
        desk = cast(Desk, SimpleNamespace(history=history, schedules=table, pulse=pulse))
        told = (await SchedulersCommand().answer(Ask(1, 1, is_private=True, text="/schedulers"), "", desk)).text
    assert "4 schedules, 1 overdue" in told
    assert told.index("tenant-3") < told.index("tenant-0")
    assert texts.TOO_MANY_SCHEDULES in told
