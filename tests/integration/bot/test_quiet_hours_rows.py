"""Quiet hours and their digest on a real Postgres, by a clock that is passed in."""

import asyncio
from collections import Counter
from dataclasses import replace

from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.delivery.channels import Channel, Kind
from bot.incidents.alerts import MOST_HELD, Alerts
from bot.incidents.consume import Progress
from bot.incidents.failures import Key, LastFailure, Tally
from bot.incidents.resolver import chores_of
from bot.queues.snapshots import Snapshots
from bot.routing.duty import Shift
from bot.routing.quiet import parse_quiet_hours
from bot.settings import BotSettings
from bot.store.database import Database
from bot.store.duty import begin_shift
from bot.store.models import Card, DispatchRow, StormRow
from tests.eventually import eventually
from tests.integration.bot.incident_rows import ADMIN, ANN, BOSS, KEY, at, fail, numbered, send_all, statements
from tests.integration.bot.test_silences_at_once import are_waiting
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.settings import read


async def wait_for_the_morning(engine: AsyncEngine, alerts: Alerts, night: int, morning: int) -> None:
    """Let the digest tell what rang at night; nobody takes it, and it escalates 15 min after that, not before."""
    for now_ms, digests, pages in (
        (night + 3_600_000, 0, 0),
        (morning, 1, 0),
        (morning + 14 * 60_000, 0, 0),
        (morning + 15 * 60_000, 0, 1),
    ):
        async with AsyncSession(engine) as session, session.begin():
            assert await alerts.tell_digest(session, now_ms=now_ms) == digests
            assert await alerts.escalate(session, now_ms=now_ms) == pages


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
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.tell_digest(session, now_ms=at("24 06:00")) == 1
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
    await wait_for_the_morning(engine, alerts, night, morning)
    async with AsyncSession(engine) as session:
        cards = (await session.scalars(select(Card).order_by(Card.id))).all()
    assert [(one.kind, one.chat_id) for one in cards] == [
        *(("digest", ADMIN), ("digest", ANN)),
        *(("incident", ADMIN), ("incident", ANN), ("incident", BOSS)),
    ]
    assert [one.is_silent for one in cards] == [False, False, True, True, False]


async def test_all_that_goes_on_in_the_morning_is_shown_paged_and_told_to_channels(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"),)
    night, morning = at("23 23:00"), at("24 06:00")
    await fail(engine, alerts, night, *numbered(0, 100))
    with statements(engine) as asked:
        async with AsyncSession(engine) as session, session.begin():
            assert await alerts.tell_digest(session, now_ms=morning) == 100
    assert len(asked) < 50, "as many, however many there are"
    assert [kind for kind, _ in await send_all(engine)] == ["digest"] + ["incident"] * 10 + ["storm"]
    async with AsyncSession(engine) as session, session.begin():
        cards = await session.scalars(select(Card).where(Card.kind != "digest"))
        assert all(one.is_silent for one in cards), "the digest makes the sound"
        rung = await session.scalars(select(DispatchRow.what).order_by(DispatchRow.id))
        assert rung.all() == ["ring"] * 11, "ten of them, and the storm of the rest"
        assert await alerts.escalate(session, now_ms=morning + 15 * 60_000) == 100


async def test_what_fails_just_as_the_digest_is_told_is_told_in_it_too(engine: AsyncEngine, alerts: Alerts) -> None:
    night, morning = at("23 23:00"), at("24 06:00")
    await fail(engine, alerts, night, *numbered(0, 2))

    async def tell() -> int:
        async with AsyncSession(engine) as session, session.begin():
            return await alerts.tell_digest(session, now_ms=morning)

    async with asyncio.TaskGroup() as both, AsyncSession(engine) as session, session.begin():
        seen = Tally(1, morning, morning, is_fresh=True, last=LastFailure())
        await alerts.record(session, dict.fromkeys(numbered(0, 1), seen), now_ms=morning)
        telling = both.create_task(tell())

        async def has_come() -> bool:
            return telling.done() or await are_waiting(engine, 1)

        await eventually(has_come, what="the digest")
    assert telling.result() == 2
    digest = next(text for kind, text in await send_all(engine) if kind == "digest")
    assert "2 incidents" in digest
    assert "×2" in digest


async def test_what_ends_and_returns_in_one_night_is_told_with_all_of_its_failures(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    night, over, again, morning = at("23 22:30"), at("23 23:30"), at("24 05:00"), at("24 06:00")
    seen = Tally(500, night, night, is_fresh=True, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, {KEY: seen}, now_ms=night)
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.resolve_quiet(session, now_ms=over, heard_ms=over, sources=["main"]) == 1
    await fail(engine, alerts, again, KEY)
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.tell_digest(session, now_ms=morning) == 1
    (_, digest), (_, card) = await send_all(engine)
    assert "1 incident, 1 still goes on" in digest
    assert "×501" in digest
    assert "×501" in card


async def test_two_bots_that_tell_the_digest_at_once_tell_it_once(engine: AsyncEngine, alerts: Alerts) -> None:
    morning = at("24 06:00")
    await fail(engine, alerts, at("23 23:00"), *numbered(0, 2))

    async def tell() -> int:
        async with AsyncSession(engine) as session, session.begin():
            return await alerts.tell_digest(session, now_ms=morning)

    async with asyncio.TaskGroup() as both, AsyncSession(engine) as session, session.begin():
        assert await alerts.tell_digest(session, now_ms=morning) == 2
        second = both.create_task(tell())

        async def has_come() -> bool:
            return second.done() or await are_waiting(engine, 1)

        await eventually(has_come, what="the second")
    assert second.result() == 0
    assert [kind for kind, _ in await send_all(engine)] == ["digest", "incident", "incident"]


async def test_a_night_that_goes_on_keeps_no_other_digest(engine: AsyncEngine, alerts: Alerts) -> None:
    quiet = parse_quiet_hours("prod=22:00-08:00,staging=22:00-06:00")
    alerts.book.policy = replace(alerts.policy, quiet_hours=quiet)
    await fail(engine, alerts, at("23 23:00"), *numbered(0, 3))
    await fail(engine, alerts, at("23 23:30"), Key("staging", "main", "orders", "f"))
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.tell_digest(session, now_ms=at("24 06:00"), most=3) == 1


async def test_what_cannot_be_done_in_time_keeps_nothing_else_and_is_tried_with_less(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    night, morning = at("23 23:00"), at("24 06:00")
    await fail(engine, alerts, night, *numbered(0, 25), Key("staging", "main", "orders", "f"))
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=1)
    chores = {one.name: one for one in chores_of(alerts, Progress(), Snapshots())}
    done: Counter[str] = Counter()

    async def all_else_is_done() -> bool:
        for name, chore in chores.items():
            done[name] += await chore.do(database, morning)
        return done["reminded"] > 0 and done["escalated"] > 0

    async with AsyncSession(engine) as another:  # holds what the digest needs
        another.add(StormRow(env="prod", began_ms=morning, joined_ms=morning, is_open=True))
        await another.flush()
        await eventually(all_else_is_done, what="what is due beside the digest")
        assert not done["digested"]
        assert chores["digested"].now_most < MOST_HELD

    async def all_is_digested() -> bool:
        done["digested"] += await chores["digested"].do(database, morning)
        return done["digested"] == 25

    await eventually(all_is_digested, what="the digest once nobody holds it up")


async def test_what_was_told_late_by_day_and_rings_at_night_waits_for_the_morning_and_pages_only_then(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    evening, night, morning = at("23 21:50"), at("23 22:10"), at("24 06:00")
    late = Tally(1, evening - 3_600_000, evening - 3_600_000, is_fresh=False, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, {KEY: late}, now_ms=evening)
    await fail(engine, alerts, night, KEY)
    assert [kind for kind, _ in await send_all(engine)] == ["late"]
    await wait_for_the_morning(engine, alerts, night, morning)
    async with AsyncSession(engine) as session:
        cards = (await session.scalars(select(Card).where(Card.sent == 0).order_by(Card.id))).all()
    assert [(one.kind, one.chat_id) for one in cards] == [("digest", ADMIN), ("incident", ADMIN), ("incident", BOSS)]
