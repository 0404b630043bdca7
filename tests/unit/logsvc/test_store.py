"""How the store reaches ClickHouse."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from prometheus_client import CollectorRegistry

from logsvc.errors import StoreDown, TooMany
from logsvc.ingest.batch import Span
from logsvc.settings import LogsvcSettings
from logsvc.store import Store
from tests.eventually import READY_SECONDS
from tocsin.breakers import Breakers, Unavailable
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


async def test_what_is_stored_already_is_asked_of_a_replica_that_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Asked(Client):
        def query(self, sql: str, *, settings: dict[str, Any], **_: object) -> Any:
            asked.append(settings)
            return SimpleNamespace(named_results=list)

    monkeypatch.setattr("clickhouse_connect.get_client", Asked)
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": "http://ch/tocsin"})
    store = Store(settings, Breakers(settings, CollectorRegistry()))
    origin = ("c", "tocsin.jobs", 0)
    await store.offsets("journal", origin, Span(0, 9), (0, 9))
    await store.newest_offsets("journal", "tocsin.jobs", 0)
    await store.newest_row("journal", origin, 0, 9)
    assert [one.get("select_sequential_consistency") for one in asked] == [1, 1, 1]
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
    async with asyncio.timeout(READY_SECONDS):
        await store.close()
    answers.set()
    await asking
    with pytest.raises(StoreDown):
        await store.command("SELECT 1")


class Asked(Client):
    """Answers what is slow when it is told to, or after a moment; anything else at once."""

    began = threading.Semaphore(0)
    answers = threading.Event()
    seconds = 60.0
    row: ClassVar[dict[str, Any]] = {"kafka_cluster": "c", "newest": 1}

    def query(self, sql: str, **_: object) -> Any:
        if sql == "slow":
            self.began.release()
            self.answers.wait(self.seconds)
        return SimpleNamespace(named_results=lambda: [self.row])

    def raw_insert(self, *_: object, **__: object) -> None: ...


def asked_store(monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Breakers]:
    monkeypatch.setattr("clickhouse_connect.get_client", Asked)
    monkeypatch.setattr(Asked, "answers", threading.Event())
    monkeypatch.setattr(Asked, "began", threading.Semaphore(0))
    settings = read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "CLICKHOUSE_URL": "http://ch/tocsin"})
    breakers = Breakers(settings, CollectorRegistry())
    return Store(settings, breakers), breakers


async def test_many_slow_questions_are_no_illness_and_do_not_stop_the_ingest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is well within the deadline; one after the other they take longer than that."""
    store, breakers = asked_store(monkeypatch)
    monkeypatch.setattr("logsvc.store.CALL_SECONDS", 2.0)
    monkeypatch.setattr(Asked, "seconds", 0.1)
    assert await asyncio.gather(*[store.query("slow") for _ in range(100)]) == [[Asked.row]] * 100
    await store.insert("journal", b"{}", "t")
    assert breakers.states() == {"clickhouse": "closed"}
    await store.close()


async def test_questions_wait_up_to_a_bound_and_what_is_read_back_for_the_ingest_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, breakers = asked_store(monkeypatch)
    monkeypatch.setattr("logsvc.store.MOST_WAITING", 3)
    asking = [asyncio.create_task(store.query("slow")) for _ in range(7)]
    await asyncio.sleep(0)
    with pytest.raises(TooMany, match="ask again"):
        await store.query("quick")
    async with asyncio.timeout(READY_SECONDS):
        assert await store.newest_offsets("journal", "t", 0) == {"c": 1}
        await store.insert("journal", b"{}", "t")
    Asked.answers.set()
    assert len(await asyncio.gather(*asking)) == 7
    assert await store.query("quick") == [Asked.row]
    assert breakers.states() == {"clickhouse": "closed"}
    await store.close()


async def test_a_clickhouse_that_ends_no_question_at_all_is_ill(monkeypatch: pytest.MonkeyPatch) -> None:
    store, breakers = asked_store(monkeypatch)
    monkeypatch.setattr("logsvc.store.WAIT_SECONDS", 0.05)
    asking = [asyncio.create_task(store.query("slow")) for _ in range(4)]
    await asyncio.sleep(0)
    for _ in range(5):
        with pytest.raises(StoreDown, match="no query ended"):
            await store.query("quick")
    assert breakers.is_open("clickhouse")
    Asked.answers.set()
    await asyncio.gather(*asking)
    await store.close()


async def test_a_question_does_not_wait_for_its_turn_to_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store, breakers = asked_store(monkeypatch)
    asking = [asyncio.create_task(store.query("slow")) for _ in range(4)]
    await asyncio.sleep(0)
    for _ in range(5):
        with pytest.raises(Unavailable):
            async with breakers.guard("clickhouse"):
                raise StoreDown("gone")
    async with asyncio.timeout(READY_SECONDS):
        with pytest.raises(StoreDown, match="breaker"):
            await store.query("quick")
    Asked.answers.set()
    await asyncio.gather(*asking)
    await store.close()


async def test_a_question_that_was_given_up_has_its_turn_until_its_thread_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, _ = asked_store(monkeypatch)
    monkeypatch.setattr("logsvc.store.WAIT_SECONDS", 0.05)
    asking = [asyncio.create_task(store.query("slow")) for _ in range(4)]
    for _ in asking:
        await asyncio.to_thread(Asked.began.acquire)
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    with pytest.raises(StoreDown, match="no query ended"):
        await store.query("quick")
    monkeypatch.setattr("logsvc.store.WAIT_SECONDS", 30)
    Asked.answers.set()
    assert await store.query("quick") == [Asked.row]
    await store.close()
