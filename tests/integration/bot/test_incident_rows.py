"""Incidents on a real Postgres, by a clock that is passed in."""

import asyncio
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot import texts
from bot.commands.grant import Revoke
from bot.delivery.channels import Channel, Kind, What
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.incidents.alerts import MOST_HELD, Alerts
from bot.incidents.consume import Progress
from bot.incidents.departed import Departures
from bot.incidents.failures import Key, LastFailure, Tally
from bot.incidents.handling import AT_ONCE, Handling, Outcome, Place
from bot.incidents.machine import Person, Phase
from bot.incidents.resolver import chores_of
from bot.incidents.silences import Scope
from bot.incidents.trial import NOWHERE, end_forgotten
from bot.kafka import KafkaRecord
from bot.metrics import Metrics
from bot.people.roster import People
from bot.people.seal import Seal
from bot.queues.snapshots import Snapshots
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.routing.duty import Shift, Turn
from bot.routing.quiet import parse_quiet_hours
from bot.routing.routes import Destination
from bot.rules.board import Board, Change, Finding, Spot
from bot.rules.conditions import Verdict, Watch
from bot.rules.policy import Policy
from bot.rules.rulebook import RuleBook
from bot.rules.watching import Tables, Watching
from bot.settings import BotSettings
from bot.store.changes import read_changes
from bot.store.chats import move_chat
from bot.store.claims import move_to_general
from bot.store.database import Database
from bot.store.dispatches import claim_dispatches, dispatch, dispatch_round, end_unknown
from bot.store.duty import begin_shift, duty_now, set_rota
from bot.store.handover import handover
from bot.store.incidents import list_incidents, open_incidents
from bot.store.models import AuditRow, Card, DispatchRow, IncidentRow, SilenceRow, StormRow
from bot.store.outbox import INCIDENT
from bot.store.silences import to_silence
from bot.store.stale import drop_stale
from bot.store.watches import read_watches, store_watches
from tests.eventually import eventually
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.events import VERSION, SourceSnapshot, encode
from tocsin.settings import read
from tocsin.times import current_ms

KEY = Key("prod", "main", "orders", "f")
ADMIN, ANN, BOSS = 1, 2002, 3003


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC).timestamp() * 1000)


def maintenance(env: str, from_ms: int, until_ms: int) -> SilenceRow:
    return SilenceRow(
        **{"env": env, "source": "", "queue": "", "fingerprint": "", "is_maintenance": True},
        **{"from_ms": from_ms, "until_ms": until_ms, "by_id": ANN, "by_name": "Ann", "reason": "", "ended_by": ""},
        **{"hidden": 0, "kinds": {}, "chat_id": ADMIN},
    )


@pytest.fixture
def alerts() -> Alerts:
    quiet = parse_quiet_hours("prod=22:00-06:00")
    policy = Policy(escalate_seconds=900, escalate_to=(Destination(BOSS),), quiet_hours=quiet)
    chats, metrics = Chats(read(BotSettings, {**BASE, "TELEGRAM_ADMINS": str(ADMIN)})), Metrics(CollectorRegistry())
    return Alerts(chats, RuleBook(policy), metrics, Links(""), Seal("secret"))


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


async def fail(engine: AsyncEngine, alerts: Alerts, now_ms: int, *keys: Key) -> None:
    """These fail once each, now."""
    seen = Tally(1, now_ms, now_ms, is_fresh=True, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, dict.fromkeys(keys, seen), now_ms=now_ms)


async def send_all(engine: AsyncEngine) -> list[tuple[str, str]]:
    """Kind and text of each new message that Telegram would take now; it takes them."""
    async with AsyncSession(engine) as session, session.begin():
        cards = (await session.scalars(select(Card).where(Card.sent == 0).order_by(Card.id))).all()
        for one in cards:
            one.sent, one.message_id = one.wanted, one.id
        return [(one.kind, one.text) for one in cards]


def numbered(first: int, count: int) -> list[Key]:
    """So many kinds of failures."""
    return [Key("prod", "main", "orders", f"f{number}") for number in range(first, first + count)]


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


async def test_workers_that_do_not_come_back_after_a_maintenance_ring_when_it_ends(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    began_ms, ends_ms = at("23 12:00"), at("23 12:15")
    dead = Finding(Spot("no-workers", "prod", "main", "orders"), Verdict.FIRE, "No workers", "9 wait", 0, began_ms)
    async with AsyncSession(engine) as session, session.begin():
        session.add(maintenance("prod", began_ms, ends_ms))
        await session.flush()
        assert await alerts.find(session, [dead], now_ms=began_ms) == 0
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.end_silences(session, now_ms=ends_ms) == 1
    async with AsyncSession(engine) as session:
        cards = (await session.scalars(select(Card).where(Card.kind == INCIDENT))).all()
        waits = (await session.scalars(select(IncidentRow.page_due_ms))).one()
    assert [(one.chat_id, "No workers" in one.text) for one in cards] == [(ADMIN, True)]
    assert waits == ends_ms + 900_000


async def test_the_last_of_many_hundred_silences_keeps_quiet_too(engine: AsyncEngine, alerts: Alerts) -> None:
    now_ms = at("23 12:00")
    async with AsyncSession(engine) as session, session.begin():
        session.add_all(maintenance(f"env-{number}", now_ms, now_ms + 60_000) for number in range(501))
        session.add(maintenance("prod", now_ms, now_ms + 900_000))
    await fail(engine, alerts, now_ms, KEY)
    async with AsyncSession(engine) as session:
        assert (await session.scalars(select(IncidentRow.phase))).one() == Phase.SILENCED
        hidden = await session.execute(select(SilenceRow.env, SilenceRow.hidden).where(SilenceRow.hidden > 0))
        assert [(env, count) for env, count in hidden] == [("prod", 1)]


async def test_the_next_one_is_paged_only_a_while_after_a_silence_or_an_ack_has_ended(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    began_ms, ends_ms = at("23 12:00"), at("23 14:00")
    silenced, acked = KEY, KEY._replace(env="staging")
    async with AsyncSession(engine) as session, session.begin():
        seen = Tally(1, began_ms, began_ms, is_fresh=True, last=LastFailure())
        await alerts.record(session, {silenced: seen, acked: seen}, now_ms=began_ms)
    async with AsyncSession(engine) as session, session.begin():
        row = maintenance("prod", began_ms, ends_ms)
        session.add(row)
        await session.flush()
        await alerts.cover(session, to_silence(row), now_ms=began_ms)
    async with AsyncSession(engine) as session:
        number = (await session.scalars(select(IncidentRow.id).where(IncidentRow.env == "staging"))).one()
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    handling = Handling(database, alerts, woken=lambda: None)
    await handling.ack(number, Person(ANN, "Ann", "operator"))
    given_ms = int(time.time() * 1000)
    await handling.unack(number, Person(ANN, "Ann", "operator"))
    async with AsyncSession(engine) as session, session.begin():
        await alerts.end_silences(session, now_ms=ends_ms)
    async with AsyncSession(engine) as session:
        due = {env: due for env, due in await session.execute(select(IncidentRow.env, IncidentRow.page_due_ms))}
    assert due["prod"] == ends_ms + 900_000
    assert (due["staging"] or 0) >= given_ms + 900_000


async def test_a_test_alert_whose_sender_was_killed_ends_by_itself(engine: AsyncEngine, alerts: Alerts) -> None:
    began_ms = at("23 12:00")
    async with AsyncSession(engine) as session, session.begin():
        seen = Tally(1, began_ms, began_ms, is_fresh=True, last=LastFailure())
        await alerts.record(session, {NOWHERE: seen, KEY: seen}, now_ms=began_ms)
    for seconds, ended in ((60, 0), (121, 1), (122, 0)):
        async with AsyncSession(engine) as session, session.begin():
            assert await end_forgotten(session, alerts, now_ms=began_ms + seconds * 1000) == ended
    async with AsyncSession(engine) as session:
        still_open = await session.scalars(select(IncidentRow.fingerprint).where(IncidentRow.phase != "resolved"))
    assert still_open.all() == [KEY.fingerprint]


async def test_too_few_stalled_jobs_to_ring_are_on_no_list_until_they_ring(engine: AsyncEngine, alerts: Alerts) -> None:
    now_ms, key = at("23 12:00"), KEY._replace(fingerprint="rule:stalled")
    for listed in (0, 0, 1):
        async with AsyncSession(engine) as session, session.begin():
            seen = Tally(1, now_ms, now_ms, is_fresh=True, last=LastFailure(), least=3)
            await alerts.record(session, {key: seen}, now_ms=now_ms)
        async with AsyncSession(engine) as session:
            found = await open_incidents(session, offset=0, limit=9)
            page = await list_incidents(session, phases=(), only={}, before=None, limit=9)
        assert (found.count, found.unheeded, len(page)) == (listed, listed, listed)


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
    engine: AsyncEngine, alerts: Alerts
) -> None:
    now_ms = at("23 12:00")
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    handling = Handling(database, alerts, woken=lambda: None)
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


async def test_whether_incidents_have_changed_is_seen_without_reading_what_is_over(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    await fail(engine, alerts, at("23 12:00"), *numbered(0, 1000))
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(update(IncidentRow).where(IncidentRow.id > 2).values(phase="resolved"))
        await session.execute(text("ANALYZE incidents"))
    tuples = text(
        "SELECT pg_stat_get_xact_tuples_returned(c) + pg_stat_get_xact_tuples_fetched(c) "
        "FROM to_regclass('incidents') AS c"
    )

    async def word() -> str:
        async with AsyncSession(engine) as session, session.begin():
            before = (await session.execute(tuples)).scalar_one()
            now = await read_changes(session)
            assert (await session.execute(tuples)).scalar_one() - before < 10
            return now.incidents

    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    handling, ann = Handling(database, alerts, woken=lambda: None), Person(1, "Ann", "operator")
    words = [await word(), await word()]
    for act in (handling.ack(1, ann), handling.note_on(900, ann, "was the deploy"), handling.resolve(2, ann)):
        await act
        words.append(await word())
    assert words[0] == words[1]
    assert len({*words[1:]}) == 4, "taken, noted although it is over, ended"


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
    engine: AsyncEngine, alerts: Alerts
) -> None:
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"),)
    now_ms = at("23 12:00")
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    handling = Handling(database, alerts, woken=lambda: None)
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


async def test_a_maintenance_counts_what_it_hid_and_not_what_only_went_on(engine: AsyncEngine, alerts: Alerts) -> None:
    now_ms = at("23 12:00")

    async def find(spot: Spot, verdict: Verdict, text: str, at_ms: int) -> None:
        async with AsyncSession(engine) as session, session.begin():
            finding = Finding(spot, verdict, "title", text, at_ms, at_ms)
            await alerts.find(session, [finding], now_ms=at_ms)

    before, within = Spot("depth", "prod", "main", "orders"), Spot("no-workers", "prod", "main", "mail")
    await find(before, Verdict.FIRE, "11,000 jobs are ready", now_ms)
    async with AsyncSession(engine) as session, session.begin():
        session.add(maintenance("prod", now_ms + 1, now_ms + 900_000))
    await find(before, Verdict.NOTHING, "12,000 jobs are ready", now_ms + 60_000)
    await find(within, Verdict.FIRE, "no worker", now_ms + 60_000)
    await find(before, Verdict.RESOLVE, "", now_ms + 120_000)
    async with AsyncSession(engine) as session:
        [told] = await session.scalars(select(SilenceRow))
        assert (told.hidden, sum(told.kinds.values()), len(told.kinds)) == (1, 1, 1)


async def test_what_was_read_late_waits_for_somebody_like_any_alert(engine: AsyncEngine, alerts: Alerts) -> None:
    alerts.book.policy = replace(alerts.policy, remind_seconds=600)
    noon, night, morning = at("23 12:00"), at("23 23:00"), at("24 06:00")

    async def late(now_ms: int, key: Key) -> None:
        seen = Tally(1, now_ms - 3_600_000, now_ms - 3_600_000, is_fresh=False, last=LastFailure())
        async with AsyncSession(engine) as session, session.begin():
            await alerts.record(session, {key: seen}, now_ms=now_ms)

    async def told() -> list[tuple[str, int]]:
        async with AsyncSession(engine) as session, session.begin():
            cards = (await session.scalars(select(Card).where(Card.sent == 0).order_by(Card.id))).all()
            for one in cards:
                one.sent, one.message_id = one.wanted, one.id
            return [(one.kind, one.chat_id) for one in cards]

    async with AsyncSession(engine) as session, session.begin():
        await begin_shift(session, Shift(ANN, "Ann", noon, None))
    await late(noon, KEY)
    await late(noon + 1000, KEY)
    assert await told() == [("late", ADMIN), ("late", ANN)]
    async with AsyncSession(engine) as session, session.begin():
        await alerts.wait(session, now_ms=noon + 600_000)
        assert await drop_stale(session, now_ms=noon + 600_000) == []
    assert sorted(await told()) == [("reminder", ADMIN), ("reminder", ANN)]
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.escalate(session, now_ms=noon + 900_000) == 1
    assert await told() == [("incident", ADMIN), ("incident", ANN), ("incident", BOSS)], "nobody took it"

    await late(night, KEY._replace(fingerprint="g"))
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.escalate(session, now_ms=night + 900_000) == 0
        assert await alerts.tell_digest(session, now_ms=night + 900_000) == 0
    assert await told() == [], "quiet hours"
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.tell_digest(session, now_ms=morning) == 1
        assert await alerts.escalate(session, now_ms=morning + 900_000) == 1
    digest = [("digest", ADMIN), ("digest", ANN), ("incident", ADMIN), ("incident", ANN)]
    assert await told() == [*digest, ("incident", BOSS)]


async def test_who_hears_already_hears_a_sound_when_it_is_brought_to_them(engine: AsyncEngine, alerts: Alerts) -> None:
    alerts.chats = Chats(read(BotSettings, {**BASE, "TELEGRAM_ALERT_CHATS": f"{BOSS}:silent"}))
    now_ms = at("23 12:00")
    await fail(engine, alerts, now_ms, *numbered(0, 8))
    await fail(engine, alerts, now_ms + 3000, *numbered(8, 1))
    assert [kind for kind, _ in await send_all(engine)] == ["incident"] * 5 + ["storm"]
    for seconds, brought in ((900, 8), (903, 1)):
        async with AsyncSession(engine) as session, session.begin():
            assert await alerts.escalate(session, now_ms=now_ms + seconds * 1000) == brought
    sounds = await send_all(engine)
    assert [kind for kind, _ in sounds] == ["nudge"] * 6, "one for each message; that of a storm only once"
    for _, told in sounds:
        assert "Nobody has acked it in time, so it comes to this chat." in told
    async with AsyncSession(engine) as session:
        nudges = (await session.scalars(select(Card).where(Card.kind == "nudge"))).all()
    assert not any(one.is_silent for one in nudges)


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


async def test_one_reminder_each_half_hour_tells_of_everything_that_nobody_has(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    alerts.book.policy = replace(alerts.policy, storm_incidents=1000, remind_seconds=1800)
    began_ms = at("23 12:00")
    for number in range(20):  # one a minute
        await fail(engine, alerts, began_ms + number * 60_000, *numbered(number, 1))
    await fail(engine, alerts, began_ms + 20 * 60_000, *numbered(20, 120))
    assert len(await send_all(engine)) == 140
    reminders: list[str] = []
    for minute in range(30, 90):
        async with AsyncSession(engine) as session, session.begin():
            await alerts.wait(session, now_ms=began_ms + minute * 60_000)
        reminders += [text for _, text in await send_all(engine)]
    assert [text.splitlines()[0] for text in reminders] == ["🔔 <b>Nobody has acked 140 incidents yet</b>"] * 2
    assert "… and 130 more" in reminders[0]


@contextmanager
def statements(engine: AsyncEngine) -> Generator[list[str]]:
    """What Postgres is asked meanwhile: each is a round trip."""
    asked: list[str] = []

    def ask(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", ask)
    yield asked
    event.remove(engine.sync_engine, "before_cursor_execute", ask)


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


async def test_an_alert_that_nobody_has_any_more_rings_anew_in_every_channel(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"),)
    now_ms = at("23 12:00")
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    handling, ann = Handling(database, alerts, woken=lambda: None), Person(1, "Ann", "operator")
    await fail(engine, alerts, now_ms, *numbered(0, 1))
    await handling.ack(1, ann)
    await handling.unack(1, ann)
    await handling.ack(1, ann)
    await handling.resolve(1, ann)
    async with AsyncSession(engine) as session:
        told = (await session.scalars(select(DispatchRow).order_by(DispatchRow.id))).all()
    first, again = "incident:1:1", "incident:1:1:2"
    assert [(one.subject, one.what) for one in told] == [
        *((first, "ring"), (first, "ack"), (again, "ring"), (again, "ack")),
        *((first, "resolve"), (again, "resolve")),
    ]


async def test_a_silence_covers_all_there_is_however_much_and_its_end_too(
    engine: AsyncEngine, alerts: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.incidents.MOST_COVERED", 2)
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    handling, ann = Handling(database, alerts, woken=lambda: None), Person(1, "Ann", "operator")
    now_ms = int(time.time() * 1000)
    await fail(engine, alerts, now_ms, *numbered(0, 5))

    async def phases() -> set[str]:
        async with AsyncSession(engine) as session:
            return set(await session.scalars(select(IncidentRow.phase)))

    silence = await handling.silence(Scope(env="prod"), ann, Place(ADMIN), until_ms=now_ms + 900_000, reason="")
    assert await phases() == {Phase.SILENCED}
    await handling.end_silence(silence.id, ann)
    assert Phase.SILENCED not in await phases()


async def test_channels_hear_each_round_of_what_is_taken_and_given_back_for_a_week(engine: AsyncEngine) -> None:
    slack = Channel(Kind.SLACK, "https://hooks.slack.com/x").name
    channels = [Channel(Kind.PAGERDUTY, "key").name, slack]
    async with AsyncSession(engine) as session, session.begin():
        for now_ms in range(45):
            for what in (What.RING, What.RING, What.ACK):
                await dispatch_round(session, channels, "incident:1:1", what, {}, now_ms=now_ms)
        await dispatch_round(session, channels, "incident:1:1", What.RESOLVE, {}, now_ms=99)
        rows = await session.execute(select(DispatchRow.channel, DispatchRow.what))
        told = Counter((channel, What(what)) for channel, what in rows)
    each = {(channel, what): 45 for channel in channels for what in What}
    assert told == {**each, (slack, What.RESOLVE): 1}


async def test_a_storm_that_was_over_and_goes_on_rings_anew_in_every_channel(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"),)
    now_ms = at("23 12:00")
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    handling, ann = Handling(database, alerts, woken=lambda: None), Person(1, "Ann", "operator")
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


async def test_what_waits_for_a_channel_that_another_bot_may_know_is_given_up_late(engine: AsyncEngine) -> None:
    now_ms = at("23 12:00")
    async with AsyncSession(engine) as session, session.begin():
        for number, channel in enumerate(("ours", "theirs", "theirs")):
            await dispatch(session, [channel], f"incident:{number}:1", What.RING, {}, now_ms=now_ms + number)
    async with AsyncSession(engine) as session, session.begin():
        claimed = await claim_dispatches(session, ["ours"], now_ms=now_ms + 9, most=9, lease_seconds=60)
        assert [row.channel for row in claimed] == ["ours"]
        assert await end_unknown(session, ["ours"], "", now_ms=now_ms + 9, before_ms=now_ms + 2) == 1


async def test_channels_hear_once_of_a_summary_of_what_was_read_late(engine: AsyncEngine, alerts: Alerts) -> None:
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"), Channel(Kind.SLACK, "https://h.example", env="staging"))
    now_ms = at("23 12:00")
    for number in range(3):
        seen = Tally(1, now_ms - 3_600_000, now_ms - 3_600_000, is_fresh=False, last=LastFailure())
        async with AsyncSession(engine) as session, session.begin():
            await alerts.record(session, dict.fromkeys(numbered(2 * number, 2), seen), now_ms=now_ms + number * 1000)
    assert [kind for kind, _ in await send_all(engine)] == ["late"]
    async with AsyncSession(engine) as session:
        [told] = (await session.scalars(select(DispatchRow))).all()
    assert (told.channel, told.subject, told.what) == (alerts.channels[0].name, "late:1", "ring")
    assert told.told["text"].startswith("🟠 2 failures of")

    async def end_late(seconds: int) -> int:
        async with AsyncSession(engine) as session, session.begin():
            return await alerts.latecomers.end(session, now_ms=now_ms + seconds * 1000)

    assert await end_late(3600) == 0, "what it told of goes on"
    async with AsyncSession(engine) as session, session.begin():
        quiet_ms = now_ms + 3_600_000
        assert await alerts.resolve_quiet(session, now_ms=quiet_ms, heard_ms=quiet_ms, sources=["main"]) == 6
    assert [await end_late(3600), await end_late(3601)] == [1, 0]
    async with AsyncSession(engine) as session:
        over = (await session.scalars(select(DispatchRow).order_by(DispatchRow.id))).all()[-1]
    assert (over.channel, over.subject, over.what) == (alerts.channels[0].name, "late:1", "resolve")
    assert over.told["text"].startswith("✅ Over: 🟠 2 failures of")
    # What comes after that, by the clock of a bot that is behind, is another summary: what is over is told of no more.
    late_ms = now_ms + 2000
    seen = Tally(1, late_ms - 3_600_000, late_ms - 3_600_000, is_fresh=False, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, dict.fromkeys(numbered(6, 1), seen), now_ms=late_ms)
    async with AsyncSession(engine) as session:
        anew = (await session.scalars(select(DispatchRow).order_by(DispatchRow.id))).all()[-1]
    assert (anew.subject, anew.what) == ("late:2", "ring")


async def test_what_a_rule_rang_for_is_remembered_until_it_is_over_whatever_another_bot_suspects(
    engine: AsyncEngine,
) -> None:
    spot = Spot("no-workers", "prod", "main", "orders")
    suspected, rang = Watch(5, 9), Watch(1, 8, is_firing=True)
    over = Finding(spot, Verdict.RESOLVE, "", "", 1, 9)
    kept: list[bool] = []
    for change in (
        Change(spot, suspected),
        Change(spot, rang),  # one bot rings
        Change(spot, suspected),  # another has only begun to look
        Change(spot, None),  # and finds that all is well
        Change(spot, replace(rang, at_ms=99)),
        Change(spot, None, over),
    ):
        async with AsyncSession(engine) as session, session.begin():
            await store_watches(session, [change])
            kept.append(any(one.is_firing for one in (await read_watches(session)).values()))
    assert kept == [False, True, True, True, True, False]


@dataclass
class Told(Tables):
    """What bridges tell, as a test has it."""

    now: set[str] = field(default_factory=lambda: {"main", "other"})

    def reported(self, seconds: float) -> set[str]:
        return set(self.now)

    def known(self) -> set[str]:
        return {"main", "other"}

    @property
    def is_listening(self) -> bool:
        return True


async def test_a_source_that_alone_is_reported_no_more_for_a_day_ends_what_belonged_to_it_and_says_so(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    tables, now_ms = Told(Snapshots()), at("20 12:00")
    clock, woken = [0.0], list[bool]()
    departures = Departures(
        database,
        alerts,
        tables,
        woken=lambda: woken.append(True),
        clock=lambda: clock[0],
    )
    await fail(engine, alerts, now_ms, KEY, KEY._replace(source="other"))
    assert await departures.look(now_ms=now_ms) == 0
    tables.now.clear()  # every bridge is dead: their alarms must stay
    clock[0] += 1000
    day_ms = 86_400_000
    assert await departures.look(now_ms=now_ms + 2 * day_ms) == 0
    tables.now.add("other")
    assert await departures.look(now_ms=now_ms + 2 * day_ms) == 1
    assert (tables.gone, woken) == ({"main"}, [True])
    told = [text for kind, text in await send_all(engine) if kind == "notice"]
    assert len(told) == 1
    assert "1 incident of it ended" in told[0]
    async with AsyncSession(engine) as session:
        rows = {row.source: row for row in await session.scalars(select(IncidentRow))}
        acted = await session.scalar(select(AuditRow.target).where(AuditRow.action == "resolve"))
    assert (rows["main"].phase, rows["other"].phase, acted) == ("resolved", "new", "source=main")
    assert rows["main"].notes[0]["by"] == "Tocsin"
    # A bot that begins now does not let its rules ring about it; and when it is reported again, it is there again.
    tables = Told(Snapshots(), now=tables.now)
    later = replace(departures, tables=tables, _listens_since=None)
    assert (await later.look(now_ms=now_ms + 2 * day_ms + 1), tables.gone) == (0, {"main"})
    tables.now.add("main")
    assert (await later.look(now_ms=now_ms + 2 * day_ms + 60_000), tables.gone) == (0, frozenset())
    assert (await later.look(now_ms=now_ms + 2 * day_ms + 120_000), tables.gone) == (0, frozenset())


async def test_a_redis_that_is_due_to_ring_in_the_very_first_look_rings(
    engine: AsyncEngine, alerts: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.rules.watching.LOOK_SECONDS", 0.01)
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    tables, stop, woken, looks = Tables(Snapshots()), asyncio.Event(), asyncio.Event(), list[int]()

    def is_settled() -> bool:
        """The queues are seen only when the Redis has been away for long enough."""
        if looks:
            tell(90_000)
        looks.append(1)
        return len(looks) > 1

    def tell(ago_ms: int) -> None:
        away = SourceSnapshot(v=VERSION, ts=current_ms() - ago_ms, env="prod", source="main", is_reachable=False)
        tables.sources.take(KafkaRecord(0, 0, b"main", encode(away), away.ts))

    tell(160_000)
    watching = Watching(database, alerts, tables, Board(), alerts.metrics, is_settled=is_settled, woken=woken.set)
    task = asyncio.create_task(watching.run(stop))
    try:
        async with asyncio.timeout(20):
            await woken.wait()
    finally:
        stop.set()
        await task
    assert len(looks) == 2
    assert all("Redis unreachable" in told for _, told in await send_all(engine))


async def test_a_handover_tells_what_rang_and_what_was_done_whatever_else_happened(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    began_ms, over_ms = at("23 12:00"), at("23 13:00")
    await fail(engine, alerts, began_ms, KEY)
    late = Tally(1, began_ms - 3_600_000, began_ms - 3_600_000, is_fresh=False, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, {KEY._replace(fingerprint="late"): late}, now_ms=began_ms)
        assert await alerts.resolve_quiet(session, now_ms=over_ms, heard_ms=over_ms, sources=["main"]) == 2
        when = datetime.fromtimestamp(began_ms / 1000, UTC)
        session.add_all(AuditRow(action=one, at=when) for one in ["ack"] * 20 + ["login"] * 70)
    async with AsyncSession(engine) as session:
        found = await handover(session, since_ms=began_ms, now_ms=over_ms)
    assert (found.began, found.ended) == (1, 1), "what was read late has rung nowhere"
    assert ({one.action for one in found.acts}, found.acts_count) == ({"ack"}, 20)


async def revoke(engine: AsyncEngine, alerts: Alerts, user_id: int) -> Reply:
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    people, logins = People(frozenset((ADMIN,))), SimpleNamespace(login_hours=1)
    desk = SimpleNamespace(database=database, people=people, chats=alerts.chats, logins=logins)
    ask = Ask(ADMIN, ADMIN, is_private=True, text=f"/revoke {user_id}")
    return await Revoke().answer(ask, str(user_id), cast(Desk, desk))


async def test_who_is_revoked_hears_no_more_of_what_is_open_and_the_next_of_the_rota_does(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    now_ms, bob = at("23 12:00"), 4004
    async with AsyncSession(engine) as session, session.begin():
        await set_rota(session, [Turn(0, ANN, "Ann"), Turn(5 * 1440, bob, "Bob")])
    await fail(engine, alerts, now_ms, KEY)
    assert [kind for kind, _ in await send_all(engine)] == ["incident"] * 2
    told = (await revoke(engine, alerts, ANN)).text
    assert texts.UNSUBSCRIBED_TOO in told
    assert texts.RELIEVED_TOO in told
    seen = Tally(99, now_ms, now_ms, is_fresh=True, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, {KEY: seen}, now_ms=now_ms + 700_000)
        assert await alerts.escalate(session, now_ms=now_ms + 900_000) == 1
        await alerts.wait(session, now_ms=now_ms + 2 * 3_600_000)
    async with AsyncSession(engine) as session:
        due = await session.execute(
            select(Card.chat_id, Card.kind).where(Card.state == "live", Card.sent < Card.wanted)
        )
        assert sorted(tuple(one) for one in due) == [
            *((ADMIN, "incident"), (ADMIN, "nudge"), (ADMIN, "reminder")),
            *((bob, "incident"), (bob, "reminder")),
        ]


async def test_an_admin_by_setting_stays_on_call_and_is_told_of_alerts_whoever_revokes_them(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    now_ms = at("23 12:00")
    async with AsyncSession(engine) as session, session.begin():
        await begin_shift(session, Shift(ADMIN, "Adam", now_ms, None))
    await fail(engine, alerts, now_ms, KEY)
    assert (await revoke(engine, alerts, ADMIN)).text == texts.ADMIN_BY_SETTING
    async with AsyncSession(engine) as session:
        duty = await duty_now(session, now_ms)
        assert (duty and duty.user_id, await session.scalar(select(func.count(AuditRow.id)))) == (ADMIN, 0)
    assert [kind for kind, _ in await send_all(engine)] == ["incident"]


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


@pytest.mark.parametrize("has_moved", [False, True], ids=["a nudge that waits", "one left behind in the old group"])
async def test_an_escalation_makes_its_sound_and_says_to_whom_it_comes_whatever_nudge_there_was(
    engine: AsyncEngine, alerts: Alerts, has_moved: bool
) -> None:
    old, new, now_ms = -5, -1005, at("23 12:00")
    alerts.chats = Chats(read(BotSettings, {**BASE, "TELEGRAM_ALERT_CHATS": f"{old}:silent"}))
    alerts.book.policy = replace(alerts.policy, escalate_to=(Destination(old),))
    await fail(engine, alerts, now_ms, KEY)
    await send_all(engine)
    seen = Tally(99, now_ms, now_ms, is_fresh=True, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, {KEY: seen}, now_ms=now_ms + 700_000)
    if has_moved:
        assert [kind for kind, _ in await send_all(engine)] == ["nudge"]
        async with AsyncSession(engine) as session, session.begin():
            await move_chat(session, old, new)
            is_alert = update(Card).where(Card.kind == INCIDENT)
            await session.execute(is_alert.values(sent=Card.wanted, message_id=99))  # its edit is a new message there
        alerts.chats.learn({old: new})
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.escalate(session, now_ms=now_ms + 900_000) == 1
    async with AsyncSession(engine) as session:
        sounds = (await session.scalars(select(Card).where(Card.kind != INCIDENT, Card.sent == 0))).all()
    assert [(one.kind, one.chat_id, one.is_silent) for one in sounds] == [("nudge", new if has_moved else old, False)]
    assert "so it comes to this chat." in sounds[0].text
