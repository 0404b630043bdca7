"""How the store reaches ClickHouse."""

import asyncio
import threading
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from prometheus_client import CollectorRegistry

from logsvc.errors import StoreDown
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


async def test_no_space_left_is_a_full_disk_under_whatever_code_and_no_illness(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Client):
        def raw_insert(self, *_: object, **__: object) -> None:
            raise DatabaseError("Code: 1001. DB::Exception: in create_directories: No space left on device", code=1001)

    monkeypatch.setattr("clickhouse_connect.get_client", Full)
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": "http://ch/tocsin"})
    breakers = Breakers(settings, CollectorRegistry())
    store = Store(settings, breakers)
    for _ in range(20):
        with pytest.raises(StoreDown, match="No space"):
            await store.insert("journal", b"{}", "t")
    assert breakers.states() == {"clickhouse": "closed"}
    await store.close()


async def test_a_call_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.store.CLOSE_SECONDS", 0.05)
    answers = threading.Event()
    began = threading.Event()

    class Hanging(Client):
        def command(self, *_: object, **__: object) -> None:
            began.set()
            answers.wait()

    monkeypatch.setattr("clickhouse_connect.get_client", Hanging)
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": "http://ch/tocsin"})
    store = Store(settings, Breakers(settings, CollectorRegistry()))
    asking = asyncio.create_task(store.command("SELECT 1"))
    await asyncio.to_thread(began.wait)
    async with asyncio.timeout(30):
        await store.close()
    answers.set()
    await asking
    with pytest.raises(StoreDown):
        await store.command("SELECT 1")
