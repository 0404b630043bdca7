"""What channels other than Telegram are to hear, as rows in a real Postgres."""

import asyncio
from collections import Counter
from functools import partial

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.delivery.channels import Channel, Kind, What
from bot.incidents.alerts import Alerts
from bot.incidents.failures import Key, LastFailure, Tally
from bot.incidents.handling import Handling
from bot.incidents.latecomers import NOBODY
from bot.incidents.machine import Person
from bot.routing.chats import Chats
from bot.settings import BotSettings
from bot.store.dispatches import claim_dispatches, dispatch, dispatch_round, end_unknown
from bot.store.models import DispatchRow, LateSummary
from tests.eventually import eventually
from tests.integration.bot.incident_rows import at, fail, numbered, send_all, statements
from tests.integration.bot.test_silences_at_once import are_waiting
from tests.unit.bot.test_routes import BASE
from tocsin.settings import read


async def test_an_alert_that_nobody_has_any_more_rings_anew_in_every_channel(
    engine: AsyncEngine, alerts: Alerts, handling: Handling
) -> None:
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"),)
    now_ms = at("23 12:00")
    ann = Person(1, "Ann", "operator")
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


async def test_however_many_channels_hear_of_an_end_postgres_is_asked_as_often(engine: AsyncEngine) -> None:
    channels = [Channel(Kind.WEBHOOK, f"https://{number}.example").name for number in range(4)]
    async with AsyncSession(engine) as session, session.begin():
        await dispatch_round(session, channels, "incident:1:1", What.RING, {}, now_ms=1)
        for what in (What.ACK, What.RESOLVE):
            with statements(engine) as asked:
                await dispatch_round(session, channels, "incident:1:1", what, {}, now_ms=1)
            assert len(asked) == 2, "what they have heard, and what they are to hear"


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


async def test_what_was_read_late_and_no_chat_hears_of_is_told_to_channels_and_counted(
    engine: AsyncEngine, alerts: Alerts
) -> None:
    alerts.chats = Chats(read(BotSettings, {**BASE, "TELEGRAM_ALERT_CHATS": "staging=5"}))
    alerts.channels = (Channel(Kind.PAGERDUTY, "key"),)
    now_ms = at("23 12:00")
    seen = Tally(1, now_ms - 3_600_000, now_ms - 3_600_000, is_fresh=False, last=LastFailure())
    for number in range(2):
        async with AsyncSession(engine) as session, session.begin():
            await alerts.record(session, dict.fromkeys(numbered(number, 1), seen), now_ms=now_ms + number)
    assert await send_all(engine) == []
    assert alerts.unrouted == 1
    quiet_ms = now_ms + 3_600_000
    async with AsyncSession(engine) as session, session.begin():
        await alerts.resolve_quiet(session, now_ms=quiet_ms, heard_ms=quiet_ms, sources=["main"])
        assert await alerts.latecomers.end(session, now_ms=quiet_ms) == 1
    async with AsyncSession(engine) as session:
        told = (await session.scalars(select(DispatchRow).order_by(DispatchRow.id))).all()
    assert [(one.subject, one.what) for one in told] == [("late:1", "ring"), ("late:1", "resolve")]


async def test_summaries_are_held_in_one_order_whatever_was_read(engine: AsyncEngine, alerts: Alerts) -> None:
    """Of two bots that add to the same ones, that of nobody among them, neither has what the other waits for."""
    alerts.chats = Chats(read(BotSettings, {**BASE, "TELEGRAM_ALERT_CHATS": "main/b=5"}))
    now_ms = at("23 12:00")
    seen = Tally(1, now_ms - 3_600_000, now_ms - 3_600_000, is_fresh=False, last=LastFailure())
    keys = [Key("prod", "main", queue, "f") for queue in "abc"]
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, dict.fromkeys(keys, seen), now_ms=now_ms)

    async def add(*some: Key) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await alerts.record(session, dict.fromkeys(some, seen), now_ms=now_ms + 1)

    def free(chat_id: int) -> Select[LateSummary]:
        return select(LateSummary).where(LateSummary.chat_id == chat_id).with_for_update(skip_locked=True)

    async with asyncio.TaskGroup() as group, AsyncSession(engine) as session, session.begin():
        assert await session.scalar(free(5)) is not None
        group.create_task(add(keys[1], keys[2]))
        await eventually(partial(are_waiting, engine, 1), what="the other bot")
        assert await session.scalar(free(NOBODY.chat_id)) is None, "it has that of nobody before it waits"
