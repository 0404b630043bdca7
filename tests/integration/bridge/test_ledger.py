"""How far back a request is remembered, and that nothing younger is passed over."""

import asyncio
import time

from prometheus_client import CollectorRegistry

from bridge.actions.ledger import REMEMBERED_SECONDS, Ledger
from tests.clients import aiokafka
from tests.integration.bridge.test_sites import site
from tocsin.breakers import Breakers
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
