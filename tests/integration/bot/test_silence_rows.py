"""What a silence or a maintenance keeps quiet, and its end, on a real Postgres."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.incidents.alerts import Alerts
from bot.incidents.failures import LastFailure, Tally
from bot.incidents.handling import Handling, Place
from bot.incidents.machine import Person, Phase
from bot.incidents.silences import Scope
from bot.rules.board import Finding, Spot
from bot.rules.conditions import Verdict
from bot.store.models import Card, IncidentRow, SilenceRow
from bot.store.outbox import INCIDENT
from bot.store.silences import to_silence
from tests.integration.bot.incident_rows import ADMIN, ANN, KEY, at, fail, numbered, send_all


def maintenance(env: str, from_ms: int, until_ms: int) -> SilenceRow:
    return SilenceRow(
        **{"env": env, "source": "", "queue": "", "fingerprint": "", "is_maintenance": True},
        **{"from_ms": from_ms, "until_ms": until_ms, "by_id": ANN, "by_name": "Ann", "reason": "", "ended_by": ""},
        **{"hidden": 0, "kinds": {}, "chat_id": ADMIN},
    )


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
    engine: AsyncEngine, alerts: Alerts, handling: Handling
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
    await handling.ack(number, Person(ANN, "Ann", "operator"))
    given_ms = int(time.time() * 1000)
    await handling.unack(number, Person(ANN, "Ann", "operator"))
    async with AsyncSession(engine) as session, session.begin():
        await alerts.end_silences(session, now_ms=ends_ms)
    async with AsyncSession(engine) as session:
        due = {env: due for env, due in await session.execute(select(IncidentRow.env, IncidentRow.page_due_ms))}
    assert due["prod"] == ends_ms + 900_000
    assert (due["staging"] or 0) >= given_ms + 900_000


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


async def test_a_silence_covers_all_there_is_however_much_and_its_end_too(
    engine: AsyncEngine, alerts: Alerts, handling: Handling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.incidents.MOST_COVERED", 2)
    ann = Person(1, "Ann", "operator")
    now_ms = int(time.time() * 1000)
    await fail(engine, alerts, now_ms, *numbered(0, 5))

    async def phases() -> set[str]:
        async with AsyncSession(engine) as session:
            return set(await session.scalars(select(IncidentRow.phase)))

    silence = await handling.silence(Scope(env="prod"), ann, Place(ADMIN), until_ms=now_ms + 900_000, reason="")
    assert await phases() == {Phase.SILENCED}
    await handling.end_silence(silence.id, ann)
    assert Phase.SILENCED not in await phases()


@pytest.fixture
async def maintained_until(engine: AsyncEngine) -> int:
    """A maintenance of prod, for 15 min until then, ms."""
    until_ms = at("23 12:15")
    async with AsyncSession(engine) as session, session.begin():
        session.add(maintenance("prod", at("23 12:00"), until_ms))
    return until_ms


async def test_what_fails_after_a_silence_rings_though_nobody_has_ended_it_yet(
    engine: AsyncEngine, alerts: Alerts, maintained_until: int
) -> None:
    await fail(engine, alerts, maintained_until - 1, KEY)
    assert await send_all(engine) == []
    await fail(engine, alerts, maintained_until, KEY, KEY._replace(queue="mail"))
    dead = Finding(
        Spot("no-workers", "prod", "main", "orders"), Verdict.FIRE, "No workers", "9 wait", 0, maintained_until
    )
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.find(session, [dead], now_ms=maintained_until) == 1
    assert [kind for kind, _ in await send_all(engine)] == [INCIDENT] * 3
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.end_silences(session, now_ms=maintained_until) == 1
    assert [kind for kind, _ in await send_all(engine)] == ["notice"]
    async with AsyncSession(engine) as session:
        assert (await session.scalars(select(SilenceRow.hidden))).one() == 1


async def test_what_failed_before_a_silence_was_over_is_quiet_though_it_is_read_later(
    engine: AsyncEngine, alerts: Alerts, maintained_until: int
) -> None:
    """As by a bot that was away with what was maintained. What failed later rings, also where a Redis is behind."""
    before = Tally(1, maintained_until - 60_000, maintained_until - 60_000, is_fresh=True, last=LastFailure())
    tallies = {
        KEY: before,
        KEY._replace(queue="mail"): replace(before, behind_ms=60_000),
        KEY._replace(queue="files"): replace(before, count=2, last_ms=maintained_until),
    }
    async with AsyncSession(engine) as session, session.begin():
        assert await alerts.record(session, tallies, now_ms=maintained_until + 30_000) == 2
    async with AsyncSession(engine) as session:
        quiet = await session.scalars(select(IncidentRow.queue).where(IncidentRow.phase == Phase.SILENCED))
        assert quiet.all() == ["orders"]
        assert (await session.scalars(select(SilenceRow.hidden))).one() == 1
