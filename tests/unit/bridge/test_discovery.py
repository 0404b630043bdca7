"""A queue is missed by two complete scans in a row, or it is not missed; a scan of many pages outlives a bad one."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from bridge.errors import SourceUnavailable
from bridge.metrics import Metrics
from bridge.settings import BridgeSettings, Source
from bridge.sources.bullmq import discovery as module
from bridge.sources.bullmq.discovery import Discovery, Found, Missed
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.source import BullmqSource
from tests.eventually import eventually
from tocsin.breakers import Breakers
from tocsin.health import Health
from tocsin.settings import read

HERE, ELSEWHERE = frozenset({"mail"}), frozenset({"other"})


class Pages:
    """A Redis of one queue a page: q0, q1, … runs: who answers each SCAN in turn, "" = nobody; the last one goes on."""

    def __init__(self, count: int, runs: Sequence[str]) -> None:
        self.is_away = False
        self.looks = 0
        self.clients = b""
        self.others: list[Pages] = []
        self.asked: list[int] = []
        self._count = count
        self._runs = runs

    async def parts(self) -> Sequence[Any]:
        return [self, *self.others]

    async def close(self) -> None: ...

    async def look_around(self) -> None:
        self.looks += 1

    async def primaries(self) -> Sequence[Any]:
        return [self]

    def shard(self, key: str) -> str:
        return ""

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        if commands[0][0] == "EXISTS":
            if self.is_away:
                raise SourceUnavailable("away")
            return [1 for _ in commands]
        if commands[0][0] == "CLIENT":
            return [self.clients]
        if commands[0][0] != "SCAN":
            return [b"" for _ in commands]
        at = int(cast(bytes, commands[0][1]))
        run = self._runs[min(len(self.asked), len(self._runs) - 1)]
        self.asked.append(at)
        if not run:
            raise SourceUnavailable("away")
        page = [b"%d" % ((at + 1) % self._count), [b"bull:q%d:meta" % at]]
        return [page, b"# Server\r\nrun_id:%s\r\n" % run.encode()][: len(commands)]


def discovery_of(redis: Pages, **settings: object) -> Discovery:
    source = Source.model_validate({"url": "redis://h:6379/0", **settings})
    return Discovery(source, Door(cast(Any, redis)), Metrics(CollectorRegistry()), every_seconds=1)


def test_only_two_scans_in_a_row_miss_a_queue() -> None:
    assert Found(ELSEWHERE, 20).missed("mail") is None
    assert Found(ELSEWHERE, 20, Found(HERE, 10)).missed("mail") is None
    assert Found(HERE, 20, Found(ELSEWHERE, 10)).missed("mail") is None
    assert Found(ELSEWHERE, 20, Found(ELSEWHERE, 10)).missed("mail") == Missed(10, 20)


@pytest.mark.parametrize(
    ("runs", "asked"),
    [
        (["a", "a", "", "", "a"], [0, 1, 2, 2, 2, 3]),
        (["a", "a", "", "b"], [0, 1, 2, 2, 0, 1, 2, 3]),
        (["a", "a", "b"], [0, 1, 2, 0, 1, 2, 3]),
    ],
)
async def test_scan_goes_on_at_its_cursor_unless_another_process_answers(
    monkeypatch: pytest.MonkeyPatch, runs: list[str], asked: list[int]
) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    redis = Pages(4, runs)
    found = await discovery_of(redis).scan()
    assert found.queues == {"q0", "q1", "q2", "q3"}
    assert redis.asked == asked


async def test_scan_that_two_processes_answer_by_turns_is_given_up_with_what_to_do() -> None:
    with pytest.raises(SourceUnavailable, match="several Redis by turns"):
        await discovery_of(Pages(4, ["a", "b"] * 10)).scan()


async def test_scan_is_given_up_where_nobody_answers_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(module, "PAGE_SECONDS", 0.05)
    redis = Pages(4, ["a", ""])
    discovery = discovery_of(redis)
    with pytest.raises(SourceUnavailable, match="away"):
        await discovery.scan()
    assert set(redis.asked) == {0, 1}
    assert not discovery.is_fresh


async def test_only_the_first_scan_is_quick_though_a_node_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_KEYS_A_SECOND", 1e9)
    monkeypatch.setattr(module, "KEYS_A_SECOND", 1e-3)
    redis = Pages(4, ["a"])
    redis.others = [Pages(1, [""])]
    discovery = discovery_of(redis)
    with pytest.raises(SourceUnavailable, match="away"):
        await discovery.scan()
    assert redis.asked == [0, 1, 2, 3]
    scanning = asyncio.create_task(discovery.scan())
    await eventually(lambda: len(redis.asked) == 5, what="another scan")
    for _ in range(20):
        await asyncio.sleep(0)
    assert redis.asked == [0, 1, 2, 3, 0], "the next page waits for the budget"
    scanning.cancel()


async def test_expected_queue_is_asked_for_until_its_node_answers() -> None:
    redis = Pages(2, [""])
    redis.is_away = True
    discovery = discovery_of(redis)
    discovery.expect(["mail"])
    for _ in range(2):
        with pytest.raises(SourceUnavailable):
            await discovery.scan()
        assert discovery.count == 0
    redis.is_away = False
    with pytest.raises(SourceUnavailable):
        await discovery.scan()
    assert discovery.count == 1, "though no scan comes to its end"


async def test_queue_that_is_worked_on_is_met_while_a_page_of_a_scan_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(module, "PAGE_SECONDS", 3600.0)
    redis = Pages(4, ["a", ""])
    discovery = discovery_of(redis)
    scanning = asyncio.create_task(discovery.scan())
    await eventually(lambda: len(redis.asked) > 3, what="a page that is asked for again and again")
    discovery.expect_new(["new"])
    await eventually(lambda: discovery.count > 0, what="the queue of a worker")
    assert not discovery.is_fresh
    scanning.cancel()


async def test_excluded_queue_is_not_met_by_the_name_of_a_connection() -> None:
    discovery = discovery_of(Pages(1, ["a"]), exclude=["pay*"])
    discovery.expect_new(["payments", "mail"])
    assert (await discovery.scan()).queues == {"mail", "q0"}


async def test_while_a_scan_goes_on_the_primary_is_asked_for_and_what_is_worked_on_is_met(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redis = Pages(10**9, ["a"])

    def open_link(*_: object) -> Pages:
        return redis

    monkeypatch.setattr("bridge.sources.bullmq.source.open_link", open_link)
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": "k:9092",
        "REDIS_URL": "redis://h",
        "BRIDGE_DISCOVERY_SECONDS": "0.01",
        "BRIDGE_POLL_SECONDS": "0.01",
    }
    settings, registry = read(BridgeSettings, environ), CollectorRegistry()
    source = BullmqSource(settings.sources[0], settings, Metrics(registry), Health(), Breakers(settings, registry))
    running = asyncio.create_task(source.run(asyncio.Event()))

    async def is_met() -> bool:
        found = await source.discovery.wait_for_change(None, 1)
        return found is not None and "new" in found.queues

    try:
        await eventually(lambda: redis.looks > 3, what="looks around")
        assert not await is_met()
        redis.clients = b"id=1 name=bull:bmV3 cmd=bzpopmin\n"
        await eventually(is_met, what="the queue of a worker")
        assert source.discovery.found is None, "no scan came to its end"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
