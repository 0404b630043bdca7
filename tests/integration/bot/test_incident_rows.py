"""Incidents on a real Postgres, by a clock that is passed in."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.commands.ack import Ack
from bot.delivery.messages import Ask
from bot.desk import Desk
from bot.incidents.alerts import Alerts
from bot.incidents.failures import Key, LastFailure, Tally
from bot.incidents.handling import Handling
from bot.incidents.machine import Person
from bot.incidents.trial import NOWHERE, end_forgotten
from bot.queues.numbers import Numbers
from bot.queues.state import from_snapshot
from bot.routing.chats import Chats
from bot.routing.duty import Shift
from bot.settings import BotSettings
from bot.store.changes import read_changes
from bot.store.duty import begin_shift
from bot.store.models import Card, IncidentRow
from bot.store.stale import drop_stale
from tests.integration.bot.house import snapshot
from tests.integration.bot.incident_rows import ADMIN, ANN, BOSS, KEY, at, fail, numbered, send_all
from tests.unit.bot.test_routes import BASE
from tocsin.roles import Role
from tocsin.settings import read


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


async def test_whether_incidents_have_changed_is_seen_without_reading_what_is_over(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
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

    ann = Person(1, "Ann", "operator")
    words = [await word(), await word()]
    for act in (handling.ack(1, ann), handling.note_on(900, ann, "was the deploy"), handling.resolve(2, ann)):
        await act
        words.append(await word())
    assert words[0] == words[1]
    assert len({*words[1:]}) == 4, "taken, noted although it is over, ended"


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


async def test_all_of_a_queue_is_taken_by_its_name_however_much_that_is(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    now_ms, many = at("23 12:00"), 250
    await fail(engine, alerts, now_ms, *numbered(0, many), KEY._replace(queue="mail"))
    orders = Numbers([from_snapshot(snapshot())])
    ledger = SimpleNamespace(own=lambda: orders)
    desk = cast(Desk, SimpleNamespace(database=handling.database, handling=handling, ledger=ledger))
    ask = Ask(ADMIN, ADMIN, is_private=True, text="/ack orders", role=Role.OPERATOR)
    assert (await Ack().answer(ask, "orders", desk)).text == f"You have {many} now."
    async with AsyncSession(engine) as session:
        left = await session.scalars(select(IncidentRow.queue).where(IncidentRow.acked_by.is_(None)))
        assert left.all() == ["mail"]
