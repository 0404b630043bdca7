"""Channels beside Telegram, told by bots that lose Postgres or are stopped: what one has taken is not sent again."""

import asyncio
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.delivery import dispatching
from bot.delivery.channels import What
from bot.delivery.dispatching import Dispatching
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.store.dispatches import SENT, claim_dispatches, dispatch, dispatch_round, end_dispatch, retry_dispatch
from bot.store.models import DispatchRow
from tests.eventually import eventually
from tests.integration.bot.test_senders import FaultyDatabase
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.settings import read

SETTINGS = read(BotSettings, {**BASE, "BOT_WEBHOOK": "http://127.0.0.1:1/hook"})


@dataclass
class Hook:
    """An address that takes everything. takes_away: whose Postgres goes away at each."""

    heard: int = 0
    takes_away: list[FaultyDatabase] = field(default_factory=list[FaultyDatabase])

    def take(self, _request: httpx.Request) -> httpx.Response:
        self.heard += 1
        for one in self.takes_away:
            one.is_away = True
        return httpx.Response(200)


def of(engine: AsyncEngine, hook: Hook) -> tuple[Dispatching, FaultyDatabase]:
    """A bot's sender of its own."""
    registry = CollectorRegistry()
    breakers = Breakers(SETTINGS, registry)
    database, client = FaultyDatabase(engine, breakers), httpx.AsyncClient(transport=httpx.MockTransport(hook.take))
    return Dispatching(database, SETTINGS.channels, SETTINGS.form, breakers, client, Metrics(registry)), database


async def test_what_rings_anew_waits_until_it_is_told_that_it_was_taken_or_over(engine: AsyncEngine) -> None:
    name = SETTINGS.channels[0].name

    async def claimed(now_ms: int) -> dict[str, int]:
        async with AsyncSession(engine) as session, session.begin():
            found = await claim_dispatches(session, [name], now_ms=now_ms, most=8, lease_seconds=60)
            return {f"{one.what} {one.subject}": one.id for one in found}

    async with AsyncSession(engine) as session, session.begin():
        for what in (What.RING, What.ACK, What.RING):
            await dispatch_round(session, [name], "incident:1:1", what, {}, now_ms=1)
        for subject in ("incident:1:2", "incident:11:1", "storm:1"):
            await dispatch_round(session, [name], subject, What.RING, {}, now_ms=1)
    first = await claimed(1)
    assert set(first) == {"ring incident:1:1", "ring incident:11:1", "ring storm:1"}
    async with AsyncSession(engine) as session, session.begin():
        await end_dispatch(session, first["ring incident:1:1"], SENT, "", now_ms=1)
    then = await claimed(1)
    assert set(then) == {"ack incident:1:1"}
    async with AsyncSession(engine) as session, session.begin():
        await retry_dispatch(session, then["ack incident:1:1"], "it is ill", not_before_ms=9)
    assert not await claimed(8)
    assert set(await claimed(9)) == {"ack incident:1:1"}


async def test_what_a_channel_never_takes_holds_up_its_incident_for_a_day_at_most(engine: AsyncEngine) -> None:
    name, day_ms = SETTINGS.channels[0].name, 24 * 3_600_000
    async with AsyncSession(engine) as session, session.begin():
        for now_ms, subject, what in ((1, "incident:1:1", What.RING), (2, "incident:1:1", What.RESOLVE)):
            await dispatch(session, [name], subject, what, {}, now_ms=now_ms)
        await dispatch(session, [name], "incident:1:2", What.RING, {}, now_ms=day_ms)

    async def claimed(now_ms: int) -> list[str]:
        async with AsyncSession(engine) as session, session.begin():
            found = await claim_dispatches(session, [name], now_ms=now_ms, most=8, lease_seconds=60)
            for one in found:
                await retry_dispatch(session, one.id, "it is ill", not_before_ms=now_ms + 1)
            return sorted(f"{one.what} {one.subject}" for one in found)

    assert await claimed(day_ms) == ["ring incident:1:1"]
    assert await claimed(day_ms + 2) == ["ring incident:1:1", "ring incident:1:2"], "never the end before it began"


async def want(engine: AsyncEngine, subject: str) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await dispatch(session, [SETTINGS.channels[0].name], subject, What.RING, {}, now_ms=1)


async def is_sent(engine: AsyncEngine, subject: str) -> bool:
    async with AsyncSession(engine) as session:
        return await session.scalar(select(DispatchRow.state).where(DispatchRow.subject == subject)) == SENT


async def is_free(engine: AsyncEngine) -> bool:
    """Whether the first was claimed too long ago."""
    has_ended = DispatchRow.claimed_until < func.clock_timestamp()
    async with AsyncSession(engine) as session:
        return bool(await session.scalar(select(has_ended).where(DispatchRow.subject == "first")))


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is claimed is free for others after a second, of which a call may take 0.2 s; they need not wait longer."""
    monkeypatch.setattr(dispatching, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(dispatching, "CALL_SECONDS", 0.2)
    monkeypatch.setattr("bot.store.database.STEADY_SECONDS", 0.0)


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_what_was_taken_as_postgres_went_away_is_written_down_and_not_sent_again(
    engine: AsyncEngine, is_stopped: bool
) -> None:
    """is_stopped: as soon as Postgres is back, or while it goes on."""
    hook, stop = Hook(), asyncio.Event()
    one, database = of(engine, hook)
    hook.takes_away = [database]
    await want(engine, "first")
    async with asyncio.TaskGroup() as running:
        running.create_task(one.run(stop))
        await eventually(lambda: database.is_away, what="the first")
        if not is_stopped:
            await eventually(lambda: is_free(engine), what="the end of its lease")
        database.is_away = False
        if not is_stopped:
            await eventually(lambda: is_sent(engine, "first"), what="what is known of it")
        stop.set()
    assert await is_sent(engine, "first")
    assert hook.heard == 1


async def test_who_comes_back_first_leaves_what_another_has_claimed_alone_for_a_while(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.database.STEADY_SECONDS", 60.0)
    hook, stop = Hook(), asyncio.Event()
    (one, database), (other, _) = of(engine, hook), of(engine, hook)
    hook.takes_away = [database]
    await want(engine, "first")
    async with asyncio.TaskGroup() as running:
        running.create_task(one.run(stop))
        await eventually(lambda: database.is_away, what="the first")
        await eventually(lambda: is_free(engine), what="the end of its lease")
        running.create_task(other.run(stop))
        await want(engine, "second")
        await eventually(lambda: is_sent(engine, "second"), what="the second, by the other")
        database.is_away = False
        await eventually(lambda: is_sent(engine, "first"), what="what is known of the first")
        stop.set()
    assert hook.heard == 2


async def test_who_was_stopped_after_the_claim_does_not_send_what_another_has_sent_meanwhile(
    engine: AsyncEngine,
) -> None:
    hook, stop, others_stop = Hook(), asyncio.Event(), asyncio.Event()
    (stopped, database), (other, _) = of(engine, hook), of(engine, hook)
    database.is_next_late = True
    await want(engine, "first")
    async with asyncio.TaskGroup() as running:
        running.create_task(stopped.run(stop))
        await eventually(lambda: is_free(engine), what="its claim, and the end of that")
        others = running.create_task(other.run(others_stop))
        await eventually(lambda: is_sent(engine, "first"), what="the first, by the other")
        others_stop.set()
        await others
        database.answers.set()
        await want(engine, "second")
        await eventually(lambda: is_sent(engine, "second"), what="the second, by who was stopped")
        stop.set()
    assert hook.heard == 2
