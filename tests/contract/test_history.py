"""What the bot asks of logsvc, in logsvc's own words."""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from bot.logsvc import Figures, History, QueueFigures
from bot.settings import BotSettings
from logsvc.api.answers import Coverage
from logsvc.api.durations import Durations, Times
from logsvc.api.durations import Figures as Told
from logsvc.api.durations import QueueFigures as ToldOfQueue
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.settings import read

GIVEN = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "DATABASE_URL": "postgresql://127.0.0.1:1/x",
    "TELEGRAM_BOT_TOKEN": "1:x",
    "LOGSVC_URL": "http://logsvc.test:9001",
}
RAN: Mapping[str, Any] = {
    **{"added": 40, "completed": 30, "failed": 2, "retried": 1, "failure_rate": 0.06, "per_minute": 3.0},
    "wait": Times(0, None, None, None, None, None, None),
    "run": Times(33, 5.0, 4.0, 7.0, 8.0, 9.5, 10),
}
ANSWER = Durations(
    items=[],
    whole=Told(**RAN),
    queues=[ToldOfQueue(env="prod", source="main", queue="orders", completed_trend=[], failed_trend=[], **RAN)],
    bucket_seconds=60,
    start="2026-11-22T03:00:00Z",
    end="2026-11-22T04:00:00Z",
    markers=[],
    as_of="2026-11-22T04:00:00.000Z",
    coverage=Coverage(history_since="2026-11-01T00:00:00Z", events_lost=0),
)


@pytest.mark.parametrize(("minutes", "bucket"), [(10, "60"), (60, "60"), (7 * 24 * 60, "3600")])
async def test_figures_are_read_as_logsvc_tells_them(minutes: int, bucket: str) -> None:
    asked: list[httpx.Request] = []

    def logsvc(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=msgspec.json.encode(ANSWER))

    settings, registry = read(BotSettings, GIVEN), CollectorRegistry()
    async with httpx.AsyncClient(transport=httpx.MockTransport(logsvc)) as client:
        history = History(settings, Directory(settings, registry), Breakers(settings, registry), client)
        found = await history.figures(1_000_000_000_000, 1_000_000_000_000 + minutes * 60_000)
    assert found == Figures(
        {("main", "orders"): QueueFigures(40, 30, 2, 33, 8.0, 9.5)},
        is_cut=False,
        since_ms=1_793_491_200_000,
        as_of_ms=1_795_320_000_000,
    )
    [request] = asked
    assert (request.url.path, request.url.params["bucket"]) == ("/api/v1/durations", bucket)
