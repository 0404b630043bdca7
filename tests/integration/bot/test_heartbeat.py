"""The sign of life, held back while any link of the chain is broken: Kafka, Postgres, Telegram, the reader."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx
import pytest
from litestar import Response
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.consume import Progress
from bot.kafka import Echo
from bot.metrics import Metrics
from bot.routing.routes import Destination
from bot.settings import BotSettings
from bot.store.database import Database, open_engine
from bot.store.migrate import migrate
from bot.store.models import Card
from bot.store.outbox import NOTICE, Subject, put
from bot.telegram import Telegram
from bot.vitals import heartbeat
from bot.vitals.heartbeat import Heartbeat
from tests.eventually import eventually
from tests.integration.bot.house import CHAT, TOKEN, House
from tests.integration.bot.link import Link
from tests.servers.hooks import hooks
from tocsin.breakers import Breakers
from tocsin.settings import read

BREAKING = {"BREAKER_RESET_SECONDS": "0.2", "BREAKER_SUCCESS_THRESHOLD": "1", "BREAKER_TIMEOUT_SECONDS": "2"}


async def test_no_sign_of_life_goes_out_while_a_link_of_the_chain_is_broken(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_SECONDS", 0.2)
    monkeypatch.setattr(heartbeat, "SOONER_SECONDS", 0.2)
    url = urlsplit(house.postgres)
    postgres_link = Link(url.hostname or "127.0.0.1", url.port or 5432)
    telegram_link = Link("127.0.0.1", house.sandbox_port)
    links = (postgres_link, telegram_link)
    for link in links:
        await link.start()
    engine = open_engine(house.postgres.replace(f":{url.port}/", f":{postgres_link.port}/"))
    await migrate(engine)
    settings, registry, stop = read(BotSettings, {**house.environ, **BREAKING}), CollectorRegistry(), asyncio.Event()
    breakers, progress = Breakers(settings, registry), Progress()
    telegram = Telegram(TOKEN, f"http://127.0.0.1:{telegram_link.port}", lambda: None)
    async with hooks() as monitor, httpx.AsyncClient() as client:
        beating = Heartbeat(
            SecretStr(monitor.url("secret")),
            Database(engine, breakers, timeout=2),
            *(telegram, breakers, progress, Metrics(registry), client, lambda: {CHAT}),
            lambda: Echo(settings, settings.topics.probes),
        )

        def tries() -> float:
            return registry.get_sample_value("bot_errors_total", {"stage": "process", "kind": "heartbeat"}) or 0

        async def held_back(why: str) -> None:
            await eventually(lambda: why in beating.problem, what=f"a sign of life held back: {why}")
            sent = len(monitor.asked)
            before = tries()
            await eventually(lambda: tries() > before + 1, what="more tries")
            assert len(monitor.asked) == sent, why

        async def sent_again() -> None:
            before = len(monitor.asked)
            await eventually(lambda: len(monitor.asked) > before and not beating.problem, what="a sign")

        async def reads(*, at: float | None, problem: str = "") -> None:
            progress.read_at, progress.problem = at, problem

        async def waits(*, since: float, note: str = "") -> None:
            """A message for the only alert chat, unsent."""
            async with AsyncSession(engine) as session, session.begin():
                put(session, Subject(NOTICE), Destination(CHAT), "told", (), now_ms=int(since * 1000))
                await session.execute(update(Card).values(note=note))

        async def arrives() -> None:
            async with AsyncSession(engine) as session, session.begin():
                await session.execute(delete(Card))

        now = time.monotonic() + 3600  # the reader is at work for as long as this takes
        faults: tuple[tuple[str, Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]], ...] = (
            ("nothing read lately", lambda: reads(at=None), lambda: reads(at=now)),
            ("Kafka is gone", lambda: reads(at=now, problem="Kafka is gone"), lambda: reads(at=now)),
            ("nothing read lately", lambda: reads(at=now - 7200), lambda: reads(at=now)),
            ("postgres is", lambda: postgres_link.set("refusing"), lambda: postgres_link.set("open")),
            ("postgres is", lambda: postgres_link.set("silent"), lambda: postgres_link.set("open")),
            ("telegram is", lambda: telegram_link.set("refusing"), lambda: telegram_link.set("open")),
            ("telegram is", lambda: telegram_link.set("dripping"), lambda: telegram_link.set("open")),
            ("has waited 20 min", lambda: waits(since=time.time() - 1200), arrives),
            ("no alert chat lets me in", lambda: waits(since=time.time(), note="bot was blocked"), arrives),
        )
        beat = asyncio.create_task(beating.run(stop))
        try:
            for why, break_it, mend_it in faults:
                await break_it()
                await held_back(why)
                await mend_it()
                await sent_again()
            monitor.always = Response(None, status_code=302, headers={"location": "/login"})
            await eventually(lambda: "answers 302" in beating.problem, what="a sign that was sent elsewhere")
            monitor.always = None
            await sent_again()
        finally:
            stop.set()
            for link in links:
                await link.set("refusing")
            await beat
            await telegram.close()
            await engine.dispose()
