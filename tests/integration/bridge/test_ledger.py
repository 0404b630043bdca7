"""How far back a request is remembered, and that nothing younger is passed over."""

import asyncio
import time
from collections import defaultdict
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from bridge.actions.ledger import REMEMBERED_SECONDS, Ledger
from tests.clients import aiokafka
from tests.eventually import eventually
from tests.integration.bridge.test_sites import site
from tocsin.breakers import Breakers, Unavailable
from tocsin.events import ActionKind, ActionRecord, encode
from tocsin.topic_admin import until_topics_fit

HOUR = 3600.0


def claim(by: str) -> ActionRecord:
    return ActionRecord(v=1, ts=0, request_id="asked", by=by, kind=ActionKind.CLAIM)


async def test_a_request_is_remembered_for_a_day(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    ledger = Ledger(settings, Breakers(settings, CollectorRegistry()))

    async def held_by() -> list[str]:
        async with ledger.follow("asked") as following:
            await following.catch_up()
            return [record.by for record in following.records]

    async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:

        async def add(by: str, age_seconds: float) -> None:
            ms = int((time.time() - age_seconds) * 1000)
            await producer.send_and_wait(
                settings.topics.actions, encode(claim(by)), b"asked", partition=0, timestamp_ms=ms
            )

        await add("long ago", REMEMBERED_SECONDS + HOUR)
        assert await held_by() == []
        async with ledger.follow("asked") as following:  # what comes after that is seen though nothing stood there
            await add("yesterday", REMEMBERED_SECONDS - HOUR)
            await ledger.append([claim("now")])
            await following.catch_up()
            assert [record.by for record in following.records] == ["yesterday", "now"]
        assert await held_by() == ["yesterday", "now"]
    await ledger.close()


class Failing(Ledger):
    """Steps of `first` and `second` fail, each when the test says so. producers: by whom each step was sent."""

    fails: defaultdict[str, asyncio.Event]
    producers: dict[str, AIOKafkaProducer]

    async def _send(self, producer: AIOKafkaProducer, record: ActionRecord) -> Any:
        self.producers[record.by] = producer
        if record.by in ("first", "second"):
            await self.fails[record.by].wait()
            raise KafkaError("injected: not written")
        return await super()._send(producer, record)


async def test_a_step_that_fails_late_leaves_the_producer_that_came_after_its_own(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """It would be used no more, and closed by nobody."""
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    ledger = Failing(settings, Breakers(settings, CollectorRegistry()))
    ledger.fails, ledger.producers = defaultdict(asyncio.Event), {}

    async def fails(by: str) -> None:
        with pytest.raises(Unavailable):
            await ledger.append([claim(by)])

    async with asyncio.TaskGroup() as tasks:
        first, second = (tasks.create_task(fails(by)) for by in ("first", "second"))

        async def both_sent() -> bool:
            return {"first", "second"} <= ledger.producers.keys()

        await eventually(both_sent, what="both steps at the producer")
        ledger.fails["first"].set()
        await first
        await ledger.append([claim("third")])
        ledger.fails["second"].set()
        await second
    await ledger.append([claim("fourth")])
    await ledger.close()
    one, other, new, last = (ledger.producers[by] for by in ("first", "second", "third", "fourth"))
    assert one is other
    assert new is not one
    assert last is new
