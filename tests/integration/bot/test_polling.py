"""Of several bots one polls Telegram, and another takes over when it is deaf, cut off or gone."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot import turns
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.store.database import Database, open_engine
from bot.telegram import TELEGRAM, Polling, Telegram
from bot.turns import Turns
from tests.certificate import make_certificate
from tests.eventually import eventually
from tests.integration.bot.house import CHAT, ROOT, House, failure, snapshot
from tests.integration.bot.link import Link
from tests.integration.bot.test_answers import make_chat
from tests.integration.bot.test_postgres_refuses import Sql
from tests.servers.pgbouncer import running_pgbouncer
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.health import Health
from tocsin.settings import read

OTHER = 3003

HEARS = "our_turn_to_poll"
PATIENT = str(ROOT / "tests" / "integration" / "bot" / "patient_bot.py")

FAILOVER_SECONDS = 15.0

"""By what the next one says itself: how long the other had been silent, and how long its poll took to begin."""


async def nothing_waits(house: House) -> bool:
    engine = open_engine(house.postgres)
    async with engine.connect() as connection:
        waiting = await connection.scalar(text(f"SELECT count(*) FROM cards WHERE wanted > sent AND chat_id = {CHAT}"))
    await engine.dispose()
    return waiting == 0


@dataclass
class Poller:
    """What a bot polls Telegram with."""

    polling: Polling = field(default_factory=lambda: Polling(lambda: None))
    is_polling: bool = False

    async def listen(self, over: asyncio.Event) -> None:
        self.is_polling = True
        await over.wait()
        self.is_polling = False

    async def me(self) -> str:
        return "tocsin"


async def take_turns(poller: Poller, through: AsyncEngine, stop: asyncio.Event) -> None:
    registry = CollectorRegistry()
    breakers, telegram = Breakers(read(BotSettings, BASE), registry), cast(Telegram, poller)
    one = Turns(Database(through, breakers, timeout=30), telegram, breakers, Health(TELEGRAM), Metrics(registry))
    one.has_tables.set()
    await one.run(poller.listen, stop)


async def test_a_poller_that_telegram_tells_nothing_gives_its_lease_to_one_that_hears(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(turns, "STANDBY_SECONDS", 0.05)
    monkeypatch.setattr(turns, "DEAF_SECONDS", 0.5)
    deaf, hearing, stop = Poller(), Poller(), asyncio.Event()
    hearing.polling.answered_at = math.inf
    async with asyncio.TaskGroup() as running:
        running.create_task(take_turns(deaf, engine, stop))
        await eventually(lambda: deaf.is_polling, what="the turn of the first")
        running.create_task(take_turns(hearing, engine, stop))
        await eventually(lambda: hearing.is_polling, what="the turn of the second")
        assert not deaf.is_polling
        stop.set()


async def test_a_poller_that_postgres_has_lost_goes_on_alone_and_gives_way_to_the_one_it_meets(
    engine: AsyncEngine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEASE_SECONDS", 2.0)
    monkeypatch.setattr(turns, "RENEW_SECONDS", 0.2)
    url = urlsplit(postgres_url)
    link = Link(url.hostname or "127.0.0.1", url.port or 5432)
    await link.start()
    behind = open_engine(postgres_url.replace(f":{url.port}/", f":{link.port}/"))
    first, second, stop = Poller(), Poller(), asyncio.Event()

    async with asyncio.TaskGroup() as running:
        running.create_task(take_turns(first, behind, stop))
        await eventually(lambda: first.is_polling, what="the turn of the first")
        running.create_task(take_turns(second, engine, stop))
        await link.set("refusing")
        await eventually(lambda: second.is_polling, what="the turn of the second")
        assert first.is_polling, "for all it knows it is alone"

        def has_given_way() -> bool:
            first.polling.conflict_at = time.monotonic()  # they meet at each poll
            return not first.is_polling

        await eventually(has_given_way, what="the first giving way")
        assert second.is_polling
        stop.set()
    await behind.dispose()
    await link.stop()


@pytest.fixture
async def pooled(house: House) -> AsyncGenerator[House]:
    """A house whose bots reach Postgres through PgBouncer in transaction mode, over TLS."""
    certificate = make_certificate(house.folder)
    async with running_pgbouncer(house.folder, house.postgres, certificate) as url:
        address = url.replace("127.0.0.1", "localhost")
        house.environ |= {"DATABASE_URL": f"{address}?sslmode=verify-full", "PGSSLROOTCERT": str(certificate)}
        yield house
        for bot in house.bots:
            await bot.kill()


async def calls_to_other(house: House) -> int:
    return sum(one["chat_id"] == OTHER for one in await house.calls("sendMessage"))


async def status_says(house: House, part: str) -> bool:
    status, _ = await house.ask("/status", expect="Kafka")
    return part in status


async def test_of_two_bots_behind_pgbouncer_one_polls_and_the_other_takes_over_without_a_double(
    pooled: House,
) -> None:
    house = pooled
    await house.put(snapshot("orders", waiting=5))
    sql = Sql(house.postgres)
    await make_chat(house, id=OTHER, first_name="Other")
    await house.fault(kind="retry_after", retry_after=3600, chat_id=OTHER, method="sendMessage", times=None)
    house.environ["TELEGRAM_ALERT_CHATS"] = f"{CHAT},{OTHER}"
    first = await house.start_bot(PATIENT, PYTHONPATH=str(ROOT))
    second = await house.start_bot(PATIENT, PYTHONPATH=str(ROOT))

    async def is_frozen() -> bool:
        return bool(await sql.value(f"SELECT true FROM chat_paces WHERE chat_id = {OTHER} AND frozen_until > now()"))

    await eventually(is_frozen, what="the greeting's 429")
    refused = await calls_to_other(house)
    for number in range(12):
        await house.put(failure(f"q{number}", fingerprint=f"f{number}"))

    async def all_rung() -> bool:
        return len({one.splitlines()[0] for one in await house.alerts()}) == 12

    await eventually(all_rung, what="every alert")
    # A kill between Telegram's acceptance and our commit doubles a message (promise 4): not now.
    await eventually(lambda: nothing_waits(house), what="the last commit")
    assert await calls_to_other(house) == refused, "a chat that asked one bot for silence was spoken to"
    assert (HEARS in first.output(), HEARS in second.output()) == (True, False)
    # How far all is read is what /status tells: here of a partition that nobody reads any more.
    deaf = "NEW.lag := 7; NEW.read_at := now() - interval '2 hours'; RETURN NEW;"
    await sql.run(f"CREATE FUNCTION deafen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {deaf} END $$")
    when = "BEFORE UPDATE ON kafka_offsets FOR EACH ROW WHEN (NEW.partition = 0)"
    await sql.run(f"CREATE TRIGGER deafen {when} EXECUTE FUNCTION deafen()")
    await eventually(lambda: status_says(house, "7 records behind, read 2 h"), what="the deaf partition in /status")
    await sql.run("DROP TRIGGER deafen ON kafka_offsets")
    await eventually(lambda: status_says(house, "Kafka: 0 records behind"), what="the end of it")
    await first.kill()
    await house.ask("/queues", expect="waiting 5")
    await eventually(lambda: bool(second.lines("polling")), what="the start of its poll")
    [turn], [poll] = second.lines(HEARS), second.lines("polling")
    assert turn["fence"] == 2
    assert 0 < turn["silent_seconds"] + poll["after_seconds"] < FAILOVER_SECONDS
    await house.put(*(failure(f"q{number}", fingerprint=f"f{number}") for number in range(12)))

    async def all_counted() -> bool:
        return len([one for one in await house.alerts() if "CardError ×2" in one]) == 12

    await eventually(all_counted, what="every count after the death of one")
    assert len(await house.alerts()) == 12
    assert "polling_conflict" not in first.output() + second.output()
    # Who is stopped lets the other go on at once.
    await house.start_bot(PATIENT, PYTHONPATH=str(ROOT))
    assert await second.stop() == 0
    await house.ask("/whoami", expect="this chat's id")
