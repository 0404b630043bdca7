"""What the bot asks logsvc."""

import httpx
from prometheus_client import CollectorRegistry

from bot.logsvc import History
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.settings import Settings, read


async def test_a_name_with_a_comma_is_asked_for_as_it_is() -> None:
    settings, registry = read(Settings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}), CollectorRegistry()
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json={"items": [], "as_of": None})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        history = History(settings, Directory(settings, registry), Breakers(settings, registry), client)
        for ask in (history.failed_jobs, history.errors, history.schedulers):
            assert (await ask("eu, west", "orders,paid", 5)).items == []
    assert [url.path for url in asked] == ["/api/v1/jobs", "/api/v1/errors", "/api/v1/schedulers"]
    assert {(url.params["source"], url.params["queue"]) for url in asked} == {("eu, west", "orders,paid")}
