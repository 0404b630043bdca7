"""Who is told of incidents, and who did what, on a real Postgres."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot import texts
from bot.commands.grant import Revoke
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.incidents.alerts import Alerts
from bot.incidents.failures import LastFailure, Tally
from bot.people.roster import People
from bot.routing.chats import Chats
from bot.routing.duty import Shift, Turn
from bot.routing.routes import Destination
from bot.settings import BotSettings
from bot.store import tokens
from bot.store.chats import move_chat
from bot.store.database import Database
from bot.store.duty import begin_shift, duty_now, read_turns, set_rota
from bot.store.handover import handover
from bot.store.models import AuditRow, Card
from bot.store.outbox import INCIDENT
from tests.eventually import eventually
from tests.integration.bot.incident_rows import ADMIN, ANN, KEY, at, fail, numbered, send_all
from tests.integration.bot.test_silences_at_once import are_waiting
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.roles import Role
from tocsin.settings import read


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


async def test_a_handover_counts_what_quiet_hours_held_back_as_begun_when_it_was_held(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    await fail(engine, alerts, at("23 23:00"), *numbered(0, 3))
    async with AsyncSession(engine) as session, session.begin():
        over_ms = at("24 01:00")
        assert await alerts.resolve_quiet(session, now_ms=over_ms, heard_ms=over_ms, sources=["main"], most=2) == 2

    async def since_ten() -> tuple[int, int, int]:
        async with AsyncSession(engine) as session:
            found = await handover(session, since_ms=at("23 22:00"), now_ms=at("24 08:00"))
        return found.began, found.open.count, found.ended

    assert await since_ten() == (3, 1, 2)
    late = Tally(1, at("23 20:00"), at("23 20:00"), is_fresh=False, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, {KEY: late}, now_ms=at("24 01:00"))
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.tell_digest(session, now_ms=at("24 06:00")) == 4
    assert await since_ten() == (4, 2, 2), "the digest has told of what was read late, too"
    await fail(engine, alerts, at("24 06:00"), *numbered(10, 5))
    assert [kind for kind, _ in await send_all(engine)].count("storm") == 0, "those of the night were long before"


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


async def test_of_two_rotas_that_are_set_at_once_one_is_kept_whole(engine: AsyncEngine) -> None:
    first, second = [Turn(0, ANN, "Ann"), Turn(5 * 1440, ADMIN, "Adam")], [Turn(0, ANN, "Ann"), Turn(1440, ANN, "Ann")]

    async def set_second() -> None:
        async with AsyncSession(engine) as session, session.begin():
            await set_rota(session, second)

    async with asyncio.TaskGroup() as both, AsyncSession(engine) as session, session.begin():
        await set_rota(session, first)
        both.create_task(set_second())
        await eventually(lambda: are_waiting(engine, 1), what="the second")
    async with AsyncSession(engine) as session:
        assert await read_turns(session) == second


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


async def test_a_token_that_is_good_is_listed_however_many_others_there_were_since(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST", 3)

    async def make(name: str) -> str:
        async with AsyncSession(engine) as session, session.begin():
            made, _ = await tokens.make(session, name, Role.VIEWER, by="1", lasts=None)
            return made.id

    await make("for ever")
    for number in range(4):
        one = await make(f"of day {number}")
        async with AsyncSession(engine) as session, session.begin():
            assert await tokens.revoke(session, one) is not None
    async with AsyncSession(engine) as session:
        assert [one.name for one in await tokens.listed(session)] == ["of day 3", "of day 2", "for ever"]
