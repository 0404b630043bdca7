"""Silences that begin and end beside one another and beside what fails, on a real Postgres: nothing falls between."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.incidents.alerts import Alerts
from bot.incidents.failures import LastFailure, Tally
from bot.incidents.handling import Handling, Place
from bot.incidents.machine import Person, Phase
from bot.incidents.silences import Scope, Silence
from bot.metrics import Metrics
from bot.people.seal import Seal
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.rules.policy import Policy
from bot.rules.rulebook import RuleBook
from bot.settings import BotSettings
from bot.store.models import Card, IncidentRow, SilenceRow
from bot.store.outbox import NUDGE
from tests.eventually import eventually
from tests.integration.bot.incident_rows import ADMIN, KEY, fail, send_all
from tests.unit.bot.test_routes import BASE
from tocsin.settings import read

ANN = Person(1, "Ann", "operator")
NOW_MS = int(time.time() * 1000)
UNTIL_MS = NOW_MS + 900_000


@pytest.fixture
def alerts() -> Alerts:
    chats = Chats(read(BotSettings, {**BASE, "TELEGRAM_ADMINS": str(ADMIN)}))
    return Alerts(chats, RuleBook(Policy()), Metrics(CollectorRegistry()), Links(""), Seal("secret"))


def keep_quiet(handling: Handling, scope: Scope) -> Coroutine[Any, Any, Silence]:
    return handling.silence(scope, ANN, Place(ADMIN), until_ms=UNTIL_MS, reason="")


async def are_waiting(engine: AsyncEngine, count: int) -> bool:
    """Whether so many transactions wait for what others hold."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with AsyncSession(engine) as session:
        return await session.scalar(text(waits)) == count


@asynccontextmanager
async def held(engine: AsyncEngine) -> AsyncGenerator[None]:
    """Let nobody touch an incident until the end of the block."""
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(select(IncidentRow.id).with_for_update())
        yield


async def phases(engine: AsyncEngine) -> set[str]:
    async with AsyncSession(engine) as session:
        return set(await session.scalars(select(IncidentRow.phase)))


async def count(engine: AsyncEngine, what: type[Card | SilenceRow], *which: Any) -> int | None:
    async with AsyncSession(engine) as session:
        return await session.scalar(select(func.count()).select_from(what).where(*which))


async def test_what_begins_to_fail_while_a_silence_begins_is_quiet_too(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    seen = Tally(1, NOW_MS, NOW_MS, is_fresh=True, last=LastFailure())
    async with asyncio.TaskGroup() as both, AsyncSession(engine) as session, session.begin():
        await alerts.record(session, {KEY: seen}, now_ms=NOW_MS)
        silencing = both.create_task(keep_quiet(handling, Scope(env=KEY.env)))

        async def has_come() -> bool:
            return silencing.done() or await are_waiting(engine, 1)

        await eventually(has_come, what="the silence")
    assert await phases(engine) == {Phase.SILENCED}


async def test_what_fails_while_a_silence_begins_makes_no_sound(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    await fail(engine, alerts, NOW_MS, KEY)
    await send_all(engine)
    async with asyncio.TaskGroup() as both, held(engine):
        both.create_task(keep_quiet(handling, Scope(env=KEY.env)))
        await eventually(lambda: are_waiting(engine, 1), what="the silence")
        both.create_task(fail(engine, alerts, NOW_MS + 1, KEY))
        await eventually(lambda: are_waiting(engine, 2), what="the failure")
    assert await phases(engine) == {Phase.SILENCED}
    assert await count(engine, Card, Card.kind == NUDGE) == 0
    assert await count(engine, SilenceRow, SilenceRow.hidden == 1) == 1


async def test_a_silence_that_begins_while_another_ends_keeps_quiet(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    await fail(engine, alerts, NOW_MS, KEY)
    first = await keep_quiet(handling, Scope(queue=KEY.queue))
    async with asyncio.TaskGroup() as both, held(engine):
        both.create_task(keep_quiet(handling, Scope(env=KEY.env)))
        await eventually(lambda: are_waiting(engine, 1), what="the one that begins")
        both.create_task(handling.end_silence(first.id, ANN))
        await eventually(lambda: are_waiting(engine, 2), what="the one that ends")
    assert await phases(engine) == {Phase.SILENCED}


async def test_two_who_keep_the_same_quiet_at_once_make_one_silence(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    await fail(engine, alerts, NOW_MS, KEY)
    async with asyncio.TaskGroup() as both, held(engine):
        for number in (1, 2):
            both.create_task(keep_quiet(handling, Scope(env=KEY.env)))
            await eventually(lambda waiting=number: are_waiting(engine, waiting), what="one more")
    assert await count(engine, SilenceRow) == 1
