"""Storms on a real Postgres, by a clock that is passed in."""

import asyncio
import time
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.delivery.channels import Channel, Kind
from bot.incidents.alerts import Alerts
from bot.incidents.failures import Key, LastFailure, Tally
from bot.incidents.handling import AT_ONCE, Handling, Outcome
from bot.incidents.machine import Person
from bot.routing.chats import Chats
from bot.routing.quiet import parse_quiet_hours
from bot.rules.rulebook import RuleBook
from bot.settings import BotSettings
from bot.store import storms
from bot.store.claims import move_to_general
from bot.store.database import Database
from bot.store.models import AuditRow, Card, DispatchRow, IncidentRow, StormRow
from bot.store.retention import forget
from bot.store.stale import drop_stale
from tests.eventually import eventually
from tests.integration.bot.incident_rows import ADMIN, at, fail, numbered, send_all
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.settings import read


async def test_all_of_a_storm_is_taken_together_and_its_message_written_once_for_many(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    now_ms, many = at("23 12:00"), AT_ONCE + 20
    keys = [Key("prod", "main", f"q{number}", "f") for number in range(many)]
    async with AsyncSession(engine) as session, session.begin():
        seen = Tally(1, now_ms, now_ms, is_fresh=True, last=LastFailure())
        assert await alerts.record(session, dict.fromkeys(keys, seen), now_ms=now_ms) == many
    taken = await handling.ack_storm(1, Person(1, "Ann", "operator"))
    assert taken == many - alerts.policy.storm_incidents
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(update(Card).where(Card.kind == "storm").values(message_id=9))
    noted = await handling.note(ADMIN, 9, Person(1, "Ann", "operator"), "the provider is down", update_id=1)
    assert len(noted) == AT_ONCE, "the worst of it"
    assert await handling.note(ADMIN, 10, Person(1, "Ann", "operator"), "not a word of ours", update_id=2) == []
    assert await handling.ack_storm(1, Person(2, "Bob", "operator")) == 0
    async with AsyncSession(engine) as session:
        storm = (await session.scalars(select(Card).where(Card.kind == "storm"))).one()
        acks = (await session.scalars(select(AuditRow.target).where(AuditRow.action == "ack"))).all()
    assert storm.wanted <= 3
    assert "all of them are taken" in storm.text
    assert len(set(acks)) == len(acks) == taken


async def test_a_storm_is_joined_by_one_while_another_takes_a_part_of_it_and_neither_is_refused(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    now_ms = at("23 12:00")
    await fail(engine, alerts, now_ms, *numbered(0, 8))
    await send_all(engine)

    async def are_waiting(count: int) -> bool:
        async with AsyncSession(engine) as session:
            waits = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return await session.scalar(text(waits)) == count

    async with AsyncSession(engine) as session, session.begin(), asyncio.TaskGroup() as both:
        await session.execute(select(StormRow.id).with_for_update())
        both.create_task(fail(engine, alerts, now_ms + 1000, *numbered(8, 1)))
        await eventually(lambda: are_waiting(1), what="the one that joins")
        taking = both.create_task(handling.ack(6, Person(1, "Ann", "operator")))
        await eventually(lambda: are_waiting(2), what="the one that takes")
        await session.commit()
    assert taking.result().outcome is Outcome.DONE
    async with AsyncSession(engine) as session:
        storm = (await session.scalars(select(Card).where(Card.kind == "storm"))).one()
        assert storm.wanted == 3, "it tells of both"


async def test_a_trickle_of_new_failures_is_hidden_by_a_storm_for_five_minutes_at_most(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    began_ms = at("23 12:00")
    await fail(engine, alerts, began_ms, *numbered(0, 200))
    assert [kind for kind, _ in await send_all(engine)] == ["incident"] * 5 + ["storm"]
    sounds: list[int] = []
    for number in range(1, 12):  # one kind more every 50 s
        await fail(engine, alerts, began_ms + number * 50_000, *numbered(200 + number, 1))
        sounds += [number] * len(await send_all(engine))
    assert sounds == [7, 8, 9, 10, 11], "all of them alone once the storm is older than 5 min"


async def test_what_joins_a_storm_that_is_taken_makes_a_sound_and_rings_anew_in_every_channel(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"),)
    now_ms = at("23 12:00")
    await fail(engine, alerts, now_ms, *numbered(0, 8))
    assert len(await send_all(engine)) == 6
    await fail(engine, alerts, now_ms + 1000, *numbered(8, 1))
    assert await send_all(engine) == [], "others of it wait for somebody already"
    assert await handling.ack_storm(1, Person(1, "Ann", "operator")) == 4
    await fail(engine, alerts, now_ms + 2000, *numbered(9, 2))
    await fail(engine, alerts, now_ms + 3000, *numbered(11, 1))
    async with AsyncSession(engine) as session, session.begin():
        assert await drop_stale(session, now_ms=now_ms + 3000) == []
    [(kind, text)] = await send_all(engine)
    assert kind == "nudge"
    assert "2 more since all of it was taken" in text
    await fail(engine, alerts, now_ms + 4000, *numbered(12, 1))
    assert await send_all(engine) == []
    assert await handling.ack_storm(1, Person(1, "Ann", "operator")) == 4
    async with AsyncSession(engine) as session:
        told = await session.execute(
            select(DispatchRow.subject, DispatchRow.what)
            .where(DispatchRow.subject.startswith("storm"))
            .order_by(DispatchRow.id)
        )
    assert [tuple(one) for one in told] == [
        *(("storm:1", "ring"), ("storm:1", "ack")),
        *(("storm:1:2", "ring"), ("storm:1:2", "ack")),
    ]


async def test_a_storm_that_goes_on_makes_a_sound_when_it_has_grown_and_none_that_people_just_heard(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    alerts.book.policy = replace(alerts.policy, remind_seconds=1800, ack_seconds=3600)
    now_ms = at("23 12:00")
    handling = Handling(
        Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60), alerts, lambda: None
    )

    async def go_on(seconds: int, count: int) -> list[str]:
        at_ms = now_ms + seconds * 1000
        seen = Tally(count, at_ms, at_ms, is_fresh=True, last=LastFailure())
        async with AsyncSession(engine) as session, session.begin():
            await alerts.record(session, {numbered(7, 1)[0]: seen}, now_ms=at_ms)
        return [text.partition("\n")[0] for _, text in await send_all(engine)]

    await fail(engine, alerts, now_ms, *numbered(0, 8))
    assert [kind for kind, _ in await send_all(engine)] == ["incident"] * 5 + ["storm"]
    assert await go_on(1, 150) == [], "they have just heard of it"
    assert await go_on(400, 1) == ["🌩 prod · <b>it goes on: ×154 that nobody has</b>"]
    assert await go_on(800, 1) == [], "no step since then"
    assert await go_on(1200, 1000) == ["🌩 prod · <b>it goes on: ×1155 that nobody has</b>"]
    assert await handling.ack_storm(1, Person(1, "Ann", "operator")) == 3
    assert await go_on(1800, 9000) == [], "somebody has it"
    async with AsyncSession(engine) as session, session.begin():
        await alerts.wait(session, now_ms=int(time.time() * 1000) + 3_601_000)
    assert [kind for kind, _ in await send_all(engine)] == ["reminder"], "the reminder alone makes the sound"


async def test_a_storm_whose_topic_is_gone_goes_on_in_its_one_message(engine: AsyncEngine, alerts: Alerts) -> None:
    alerts.chats = Chats(read(BotSettings, {**BASE, "TELEGRAM_ALERT_CHATS": "-1000000000005/45"}))
    now_ms = at("23 12:00")
    await fail(engine, alerts, now_ms, *numbered(0, 8))
    await send_all(engine)
    async with AsyncSession(engine) as session, session.begin():
        storm = (await session.scalars(select(Card).where(Card.kind == "storm"))).one()
        await move_to_general(session, storm.id, storm.wanted, f"That topic is gone\n{storm.text}")
        await session.execute(update(Card).where(Card.id == storm.id).values(message_id=9))  # Telegram takes it there
    for seconds in range(1, 4):
        await fail(engine, alerts, now_ms + seconds * 1000, *numbered(0, 8))
    seen = Tally(100, now_ms, now_ms, is_fresh=True, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, {numbered(7, 1)[0]: seen}, now_ms=now_ms + 700_000)
    assert [kind for kind, _ in await send_all(engine)] == ["nudge"]
    async with AsyncSession(engine) as session:
        cards = (await session.scalars(select(Card).where(Card.storm_id.is_not(None)).order_by(Card.id))).all()
    assert [(one.kind, one.topic_id, one.in_general) for one in cards] == [("storm", 45, True), ("nudge", 45, True)]
    assert "×112" in cards[0].text
    # One that Telegram will never take is not written anew at each failure either.
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(update(Card).where(Card.kind == "storm").values(state="dead"))
    await fail(engine, alerts, now_ms + 701_000, *numbered(0, 8))
    assert await send_all(engine) == []


async def test_a_storm_that_was_taken_rings_channels_anew_for_what_a_digest_adds(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"),)
    night, morning = at("23 23:00"), at("24 06:00")
    handling = Handling(
        Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60), alerts, lambda: None
    )
    await fail(engine, alerts, night, *numbered(0, 25))
    await fail(engine, alerts, morning, *numbered(100, 8))
    assert await handling.ack_storm(1, Person(1, "Ann", "operator")) == 3
    assert [kind for kind, _ in await send_all(engine)] == ["incident"] * 5 + ["storm"]
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.tell_digest(session, now_ms=morning + 5000) == 25
    assert "nudge" not in [kind for kind, _ in await send_all(engine)], "the digest makes the sound"
    async with AsyncSession(engine) as session:
        told = await session.execute(
            select(DispatchRow.subject, DispatchRow.what)
            .where(DispatchRow.subject.startswith("storm"))
            .order_by(DispatchRow.id)
        )
    assert [tuple(one) for one in told] == [("storm:1", "ring"), ("storm:1", "ack"), ("storm:1:2", "ring")]


async def test_a_storm_that_was_over_and_goes_on_rings_anew_in_every_channel(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"),)
    now_ms = at("23 12:00")
    ann = Person(1, "Ann", "operator")
    await fail(engine, alerts, now_ms, *numbered(0, 8))
    async with AsyncSession(engine) as session:
        members = (await session.scalars(select(IncidentRow.id).where(IncidentRow.storm_id.is_not(None)))).all()
    for number in members:
        await handling.resolve(number, ann)
    await fail(engine, alerts, now_ms + 1000, *numbered(8, 1))
    async with AsyncSession(engine) as session:
        of_storm = DispatchRow.subject.startswith("storm")
        told = (await session.scalars(select(DispatchRow).where(of_storm).order_by(DispatchRow.id))).all()
    assert [(one.subject, one.what) for one in told] == [
        *(("storm:1", "ring"), ("storm:1", "resolve")),
        ("storm:1:2", "ring"),
    ]


async def test_what_has_no_chat_to_go_to_is_counted_in_a_storm_too(engine: AsyncEngine, alerts: Alerts) -> None:
    alerts.chats = Chats(read(BotSettings, {**BASE, "TELEGRAM_ALERT_CHATS": "staging=5"}))
    await fail(engine, alerts, at("23 12:00"), *numbered(0, 9))
    assert alerts.unrouted == 9
    await fail(engine, alerts, at("23 23:00"), *numbered(9, 15))
    assert alerts.unrouted == 9, "it waits for the morning"
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.tell_digest(session, now_ms=at("24 06:00")) == 15
    assert alerts.unrouted == 24
    assert await send_all(engine) == []


async def test_of_a_storm_larger_than_memory_holds_all_is_taken_and_what_nobody_has_is_told(
    engine: AsyncEngine, alerts: Alerts, handling: Handling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storms, "MOST_MEMBERS", 10)
    now_ms, ann = at("23 12:00"), Person(1, "Ann", "operator")
    await fail(engine, alerts, now_ms, *numbered(0, 30))

    async def headline() -> str:
        async with AsyncSession(engine) as session:
            return (await session.scalars(select(Card.text).where(Card.kind == "storm"))).one().splitlines()[0]

    assert "<b>10+ incidents at once, ×10+</b> · 10+ nobody has" in await headline()
    async with AsyncSession(engine) as session:
        of_storm = select(IncidentRow.id, IncidentRow.episode).where(IncidentRow.storm_id == 1)
        rows = await session.execute(of_storm.order_by(IncidentRow.id))
        *others, last = [(row[0], row[1]) for row in rows]
    assert await handling.ack_all(others[:15], ann) == 15
    assert "nobody has" in await headline(), "though those that are taken are more than memory holds"
    await handling.ack_all(others, ann)
    await handling.resolve(others[0][0], ann)
    assert "· 1+ nobody has" in await headline()
    assert await handling.ack_storm(1, ann) == 1
    assert "all of them are taken" in await headline()
    for number, _ in others[1:]:
        await handling.resolve(number, ann)
    await handling.note_on(last[0], ann, "still at it")
    assert "quiet again" not in await headline(), f"#{last[0]} goes on"


async def test_the_message_of_a_storm_is_forgotten_when_all_of_it_is_over_and_not_before(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    now_ms, ann = at("23 12:00"), Person(1, "Ann", "operator")
    await fail(engine, alerts, now_ms, *numbered(0, 6))
    assert [kind for kind, _ in await send_all(engine)][-1] == "storm"
    async with AsyncSession(engine) as session, session.begin():
        assert await forget(session, now_ms + 1) == 0
    await handling.resolve(6, ann)
    assert await send_all(engine) == [], "its message says so, without another sound"
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(update(Card).where(Card.kind == "storm").values(sent=Card.wanted, changed_ms=now_ms))
        assert await forget(session, now_ms + 1) == 1


async def test_what_quiet_hours_hold_back_makes_no_storm_of_what_rings_beside_it(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    alerts.book = RuleBook(replace(alerts.policy, quiet_hours=parse_quiet_hours("main/mail=22:00-06:00")))
    now_ms = at("23 23:00")
    await fail(engine, alerts, now_ms, *(Key("prod", "main", "mail", f"f{number}") for number in range(6)))
    assert await send_all(engine) == []
    await fail(engine, alerts, now_ms + 1000, *numbered(0, 1))
    assert [kind for kind, _ in await send_all(engine)] == ["incident"]
