"""Incidents on a real Postgres, by a clock that is passed in."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.incidents.alerts import Alerts
from bot.incidents.failures import Key, LastFailure, Tally
from bot.incidents.handling import AT_ONCE, Handling
from bot.incidents.machine import Person
from bot.metrics import Metrics
from bot.people.seal import Seal
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.routing.duty import Shift
from bot.routing.quiet import parse_quiet_hours
from bot.routing.routes import Destination
from bot.rules.policy import Policy
from bot.rules.rulebook import RuleBook
from bot.settings import BotSettings
from bot.store.database import Database, open_engine
from bot.store.duty import begin_shift
from bot.store.migrate import migrate
from bot.store.models import AuditRow, Card
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.settings import read

KEY = Key("prod", "main", "orders", "f")
ADMIN, ANN, BOSS = 1, 2002, 3003


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
async def engine(postgres_url: str) -> AsyncGenerator[AsyncEngine]:
    one = open_engine(postgres_url)
    await migrate(one)
    yield one
    await one.dispose()


@pytest.fixture
def alerts() -> Alerts:
    quiet = parse_quiet_hours("prod=22:00-06:00")
    policy = Policy(escalate_seconds=900, escalate_to=(Destination(BOSS),), quiet_hours=quiet)
    chats, metrics = Chats(read(BotSettings, {**BASE, "TELEGRAM_ADMINS": str(ADMIN)})), Metrics(CollectorRegistry())
    return Alerts(chats, RuleBook(policy), metrics, Links(""), Seal("secret"))


async def test_a_page_that_was_due_by_day_pages_nobody_for_what_begins_in_quiet_hours(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    async def fail(now_ms: int) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await alerts.record(
                session, {KEY: Tally(1, now_ms, now_ms, is_fresh=True, last=LastFailure())}, now_ms=now_ms
            )

    async def escalate(now_ms: int) -> int:
        async with AsyncSession(engine) as session, session.begin():
            return await alerts.escalate(session, now_ms=now_ms)

    async def paged() -> int:
        async with AsyncSession(engine) as session:
            return len((await session.scalars(select(Card.id).where(Card.chat_id == BOSS))).all())

    await fail(at("23 12:00"))
    async with AsyncSession(engine) as session, session.begin():
        over_ms = at("23 13:00")
        assert await alerts.resolve_quiet(session, now_ms=over_ms, heard_ms=over_ms, sources=["main"]) == 1
    await fail(at("23 23:00"))
    assert await escalate(at("23 23:30")) == 0
    assert await paged() == 0
    async with AsyncSession(engine) as session, session.begin():
        over_ms = at("24 05:00")
        assert await alerts.resolve_quiet(session, now_ms=over_ms, heard_ms=over_ms, sources=["main"]) == 1
    await fail(at("24 12:00"))
    assert await escalate(at("24 12:14")) == 0
    assert await escalate(at("24 12:15")) == 1
    assert await paged() == 1


async def test_what_quiet_hours_held_back_is_an_alert_like_any_other_once_the_digest_has_told_it(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    night, morning = at("23 23:00"), at("24 06:00")
    async with AsyncSession(engine) as session, session.begin():
        await begin_shift(session, Shift(ANN, "Ann", night, None))
        seen = Tally(1, night, night, is_fresh=True, last=LastFailure())
        await alerts.record(session, {KEY: seen}, now_ms=night)
    for now_ms, digests, pages in (
        (night + 3_600_000, 0, 0),
        (morning, 1, 0),
        (morning + 14 * 60_000, 0, 0),
        (morning + 15 * 60_000, 0, 1),
    ):
        async with AsyncSession(engine) as session, session.begin():
            assert await alerts.tell_digest(session, now_ms=now_ms) == digests
            assert await alerts.escalate(session, now_ms=now_ms) == pages
    async with AsyncSession(engine) as session:
        cards = (await session.scalars(select(Card).order_by(Card.id))).all()
    assert [(one.kind, one.chat_id) for one in cards] == [
        *(("digest", ADMIN), ("digest", ANN)),
        *(("incident", ADMIN), ("incident", ANN), ("incident", BOSS)),
    ]
    assert [one.is_silent for one in cards] == [False, False, True, True, False]


async def test_all_of_a_storm_is_taken_together_and_its_message_written_once_for_many(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    now_ms, many = at("23 12:00"), AT_ONCE + 20
    keys = [Key("prod", "main", f"q{number}", "f") for number in range(many)]
    async with AsyncSession(engine) as session, session.begin():
        seen = Tally(1, now_ms, now_ms, is_fresh=True, last=LastFailure())
        assert await alerts.record(session, dict.fromkeys(keys, seen), now_ms=now_ms) == many
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    handling = Handling(database, alerts, woken=lambda: None)
    taken = await handling.ack_storm(1, Person(1, "Ann", "operator"))
    assert taken == many - alerts.policy.storm_incidents
    assert await handling.ack_storm(1, Person(2, "Bob", "operator")) == 0
    async with AsyncSession(engine) as session:
        storm = (await session.scalars(select(Card).where(Card.kind == "storm"))).one()
        acks = (await session.scalars(select(AuditRow.target).where(AuditRow.action == "ack"))).all()
    assert storm.wanted <= 3
    assert "all of them are taken" in storm.text
    assert len(set(acks)) == len(acks) == taken
