"""How the store reaches ClickHouse."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from logsvc.settings import LogsvcSettings
from logsvc.store import Store
from tocsin.breakers import Breakers
from tocsin.settings import read


class Client:
    def __init__(self, **given: Any) -> None:
        self.given = given

    def command(self, *_: object, **__: object) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("url", "interface", "port"),
    [
        ("https://u:p@ch/tocsin", "https", 8443),
        ("https://u:p@ch:9440/tocsin", "https", 9440),
        ("http://u:p@ch/tocsin", "http", 8123),
        ("http://u:p@ch:8443/tocsin", "http", 8443),
    ],
)
async def test_the_scheme_of_the_url_decides_whether_a_password_travels_in_the_clear(
    monkeypatch: pytest.MonkeyPatch, url: str, interface: str, port: int
) -> None:
    made: list[Client] = []

    def get_client(**given: Any) -> Client:
        made.append(Client(**given))
        return made[-1]

    monkeypatch.setattr("clickhouse_connect.get_client", get_client)
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": url})
    store = Store(settings, Breakers(settings, CollectorRegistry()))
    await store.command("SELECT 1")
    await store.close()
    [client] = made
    assert client.given["interface"] == interface
    assert client.given["secure"] is (interface == "https")
    assert client.given["port"] == port
