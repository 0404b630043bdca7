"""Telegram away in each of three ways: what was to be sent arrives after, and the breaker opens and closes."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncSession

from bot.delivery import sending
from bot.delivery.sending import Delivery
from bot.metrics import Metrics
from bot.routing.chats import Chats
from bot.routing.routes import Destination
from bot.settings import BotSettings
from bot.store.database import POSTGRES, Database, open_engine
from bot.store.migrate import migrate
from bot.store.outbox import NOTICE, Subject, put
from bot.telegram import TELEGRAM, Telegram
from tests.eventually import eventually
from tests.integration.bot.house import CHAT, TOKEN, House
from tests.integration.bot.link import WAYS, Link
from tocsin.breakers import Breakers
from tocsin.health import Health
from tocsin.settings import read

BREAKING = {"BREAKER_FAIL_MAX": "1", "BREAKER_PROBE_SECONDS": "0.2", "BREAKER_TIMEOUT_SECONDS": "2"}


async def test_alerts_arrive_and_the_breaker_closes_however_telegram_dies(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "NEW_SECONDS", 2.0)
    settings = read(BotSettings, {**house.environ, **BREAKING})
    registry = CollectorRegistry()
    metrics, breakers, engine = Metrics(registry), Breakers(settings, registry), open_engine(house.postgres)
    link = Link("127.0.0.1", house.sandbox_port)
    await link.start()
    telegram = Telegram(TOKEN, f"http://127.0.0.1:{link.port}", lambda: None)
    database = Database(engine, breakers, timeout=10)
    delivery = Delivery(
        *(database, telegram, breakers, Chats(settings), metrics, Health(POSTGRES, TELEGRAM)),
        edit_seconds=0.2,
        call_seconds=2,
    )
    breakers.probe_with(TELEGRAM, telegram.me)
    stop = asyncio.Event()

    async def want(what: str) -> None:
        async with AsyncSession(engine) as session, session.begin():
            put(session, Subject(NOTICE), Destination(CHAT), what, (), now_ms=1)
        delivery.wake()

    try:
        await migrate(engine)
        async with asyncio.TaskGroup() as parts:
            parts.create_task(delivery.run(stop))
            parts.create_task(breakers.run_probes(stop))
            for way in WAYS:
                await link.set(way)
                await want(f"while {way}")
                await eventually(lambda: breakers.states()[TELEGRAM] == "open", what=f"the open breaker, {way}")
                await link.set("open")
                await eventually(lambda way=way: house.has_text(f"while {way}"), what=f"what waited, {way}")
                await eventually(lambda: breakers.states()[TELEGRAM] == "closed", what=f"the closed breaker, {way}")
                await want(f"after {way}")
                await eventually(lambda way=way: house.has_text(f"after {way}"), what="what came after")
            stop.set()
    finally:
        await link.set("refusing")
        await telegram.close()
        await engine.dispose()
    texts = await house.texts()
    times = {way: texts.count(f"while {way}") for way in WAYS}
    assert times.pop("refusing") == 1
    assert set(times.values()) <= {1, 2}, "an answer was lost, so it may be doubled (promise 4)"
