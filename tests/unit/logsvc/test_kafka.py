"""Clients of a Kafka that is away or not ready yet: leaving them never takes for ever, and no answer is made up."""

import asyncio
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupLoadInProgressError, KafkaConnectionError, KafkaTimeoutError
from aiokafka.protocol.commit import OffsetFetchResponse_v3  # pyright: ignore[reportMissingTypeStubs]  # has none

from logsvc.deadletters.letters import Letter
from logsvc.errors import KafkaDown
from logsvc.kafka import DeadLetters, Member
from logsvc.kafka.calls import committed
from logsvc.partitions import Committed, Place
from logsvc.settings import LogsvcSettings
from tests.eventually import READY_SECONDS
from tocsin.settings import read

DEADLINE = READY_SECONDS


class Stuck:
    """A client that connects or not, and never ends."""

    connects = True
    _coordinator = _fetcher = None  # as of a consumer that was never started

    def __init__(self, *_: object, **__: object) -> None: ...

    async def start(self) -> None:
        if not self.connects:
            raise KafkaConnectionError("away")

    async def stop(self) -> None:
        await asyncio.Event().wait()

    close = stop

    async def send(self, *_: object, **__: object) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Away(Stuck):
    connects = False


class Woken(Stuck):
    async def commit(self, *_: object) -> None:
        raise AssertionError("Did we not perform bootstrap?")


class Dying:
    """A producer that counts what it is given; a dead one fails every letter."""

    def __init__(self, *, is_dead: bool) -> None:
        self.sent = 0
        self.is_stopped = False
        self._is_dead = is_dead

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.is_stopped = True

    async def send(self, *_: object, **__: object) -> asyncio.Future[None]:
        self.sent += 1
        done = asyncio.get_running_loop().create_future()
        if self._is_dead:
            done.set_exception(KafkaTimeoutError())
        else:
            done.set_result(None)
        return done


class Coordinator(AIOKafkaAdminClient):
    """aiokafka's own admin client, with a group's coordinator that gives one answer."""

    def __init__(self, *answer: object) -> None:
        super().__init__(bootstrap_servers="127.0.0.1:1")
        self._answer = answer

    async def find_coordinator(self, *_: object, **__: object) -> int:
        return 1

    async def _send_request(self, *_: object, **__: object) -> Any:
        return OffsetFetchResponse_v3(0, *self._answer)


@pytest.fixture
def settings() -> LogsvcSettings:
    return read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CLICKHOUSE_URL": "chdb:///nowhere"})


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.kafka.calls.CLOSE_SECONDS", 0.01)


async def nothing(_: Any) -> None: ...


def ignore(_: Any) -> None: ...


async def test_the_dead_letters_are_left_in_time(settings: LogsvcSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.kafka.dead_letters.AIOKafkaProducer", Stuck)
    letters = DeadLetters(settings)
    async with asyncio.timeout(DEADLINE):
        await letters.write([Letter("id", b"{}")])
        await letters.close()


async def test_a_producer_that_failed_is_never_used_again(
    settings: LogsvcSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Dying] = []

    def producer(**_: object) -> Dying:
        made.append(Dying(is_dead=not made))
        return made[-1]

    monkeypatch.setattr("logsvc.kafka.dead_letters.AIOKafkaProducer", producer)
    letters = DeadLetters(settings)
    with pytest.raises(KafkaDown):
        await letters.write([Letter("1", b"{}"), Letter("2", b"{}")])
    await letters.write([Letter("1", b"{}"), Letter("2", b"{}")])
    await letters.close()
    assert [(one.sent, one.is_stopped) for one in made] == [(2, True), (2, True)]


async def test_the_group_is_left_in_time(settings: LogsvcSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.kafka.member.AIOKafkaConsumer", Stuck)
    monkeypatch.setattr("logsvc.kafka.member.AIOKafkaAdminClient", Away)
    member = Member(settings, ["t"], on_assigned=nothing, on_revoked=nothing, on_out_of_range=ignore)
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(KafkaDown):
            await member.__aenter__()


async def test_a_commit_to_a_kafka_that_names_no_broker_is_no_bug(
    settings: LogsvcSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has just woken does: aiokafka's own search for the coordinator asserts that there is one to ask."""
    monkeypatch.setattr("logsvc.kafka.member.AIOKafkaConsumer", Woken)
    monkeypatch.setattr("logsvc.kafka.member.AIOKafkaAdminClient", Woken)
    member = Member(settings, ["t"], on_assigned=nothing, on_revoked=nothing, on_out_of_range=ignore)
    with pytest.raises(KafkaDown, match="commit failed"):
        await member.commit(Place("t", 0), 1, "")


async def test_a_coordinator_that_is_loading_is_not_taken_for_a_group_that_has_committed_nothing() -> None:
    places = [Place("t", 0), Place("t", 1)]
    none_and_five = [("t", [(0, -1, "", 0), (1, 5, "5-9", 0)])]
    told = await committed(Coordinator(none_and_five, 0), "g", places)
    assert told == {places[0]: Committed(None, ""), places[1]: Committed(5, "5-9")}
    with pytest.raises(KafkaDown):
        await committed(Coordinator([], GroupLoadInProgressError.errno), "g", places)
