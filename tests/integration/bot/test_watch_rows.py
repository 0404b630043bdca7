"""What rules find, as rows in a real Postgres."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.incidents.alerts import Alerts
from bot.incidents.departed import Departures
from bot.incidents.failures import LastFailure, Tally
from bot.kafka import KafkaRecord
from bot.queues.snapshots import Snapshots
from bot.rules.board import Board, Change, Finding, Spot
from bot.rules.conditions import Verdict, Watch
from bot.rules.watching import Tables, Watching
from bot.settings import BotSettings
from bot.store.database import Database
from bot.store.incidents import list_incidents, open_incidents
from bot.store.models import AuditRow, IncidentRow
from bot.store.watches import read_watches, store_watches
from tests.eventually import READY_SECONDS
from tests.integration.bot.incident_rows import KEY, at, fail, send_all
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.events import VERSION, SourceSnapshot, encode
from tocsin.settings import read
from tocsin.times import current_ms


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
        async with asyncio.timeout(READY_SECONDS):
            await woken.wait()
    finally:
        stop.set()
        await task
    assert len(looks) == 2
    assert all("Redis unreachable" in told for _, told in await send_all(engine))
