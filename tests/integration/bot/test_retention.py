"""What is long over is forgotten; what goes on, or is still to arrive, is not."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.actions.action import Action, Fate, Stage
from bot.incidents.failures import Key
from bot.incidents.machine import Incident, Phase
from bot.routing.routes import Destination
from bot.store import chats, paces, sent
from bot.store.actions import add_action, add_fates
from bot.store.claims import mark_sent
from bot.store.incidents import write
from bot.store.models import ActionJob, ActionRow, AuditRow, Card, ChatPace, IncidentRow, UpdateRow
from bot.store.outbox import Subject, put
from bot.store.retention import forget, forget_audit, give_up
from bot.store.updates import KEEP, forget_updates, is_news

OLD, NEW = 1_000, 2_000


def incident(name: str, phase: Phase, at_ms: int, episode: int = 1) -> Incident:
    return Incident(
        key=Key("prod", "main", name, "f"),
        phase=phase,
        episode=episode,
        count=1,
        total=1,
        first_ms=at_ms,
        last_ms=at_ms,
        touched_ms=at_ms,
        has_rung=True,
    )


async def keep(session: AsyncSession, one: Incident, *, is_sent: bool, episode: int = 1) -> None:
    """An incident with a message about one of its episodes."""
    row = write(session, None, one)
    await session.flush()
    put(session, Subject("incident", row.id, episode), Destination(1), one.key.queue, (), now_ms=one.touched_ms)
    await session.flush()
    if is_sent:
        card_id = await session.scalar(select(Card.id).order_by(Card.id.desc()).limit(1))
        assert card_id is not None
        await mark_sent(session, card_id, 1, 7, chat_id=1, now_ms=one.touched_ms, not_before_ms=0)


async def test_only_what_is_long_over_is_forgotten(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await keep(session, incident("over", Phase.RESOLVED, OLD), is_sent=True)
        await keep(session, incident("just over", Phase.RESOLVED, NEW), is_sent=True)
        await keep(session, incident("never arrived", Phase.RESOLVED, OLD), is_sent=False)
        await keep(session, incident("goes on", Phase.FIRING, OLD), is_sent=True)
        await keep(session, incident("an earlier episode", Phase.FIRING, OLD, episode=2), is_sent=True)
        put(session, Subject("greeting"), Destination(1), "unsent greeting", (), now_ms=OLD)
    async with AsyncSession(engine) as session, session.begin():
        assert await forget(session, NEW) == 3
    async with AsyncSession(engine) as session, session.begin():
        assert await forget(session, NEW) == 0
        kept = set(await session.scalars(select(IncidentRow.queue)))
        assert kept == {"just over", "never arrived", "goes on", "an earlier episode"}
        told = set(await session.scalars(select(Card.text)))
        assert told == {"just over", "never arrived", "goes on", "unsent greeting"}


async def test_what_a_chat_refuses_for_thirty_days_is_given_up_said_and_then_forgotten(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await keep(session, incident("old", Phase.RESOLVED, OLD), is_sent=False)
        await chats.put_chat_off(session, 1, 9, "Forbidden: bot was kicked", 10**15)
        await keep(session, incident("not refused", Phase.RESOLVED, OLD), is_sent=False)
        await keep(session, incident("lately", Phase.RESOLVED, NEW), is_sent=False)
    async with AsyncSession(engine) as session, session.begin():
        assert [await give_up(session, NEW, now_ms=NEW) for _ in range(2)] == [1, 0]
        assert await forget(session, NEW) == 0, "it is said first"
        found = await sent.depth(session, dead_since_ms=NEW)
        assert found.dead_notes == ("1 to chat 1: given up after 30 days: Forbidden: bot was kicked",)
        await forget(session, NEW + 1)
        assert set(await session.scalars(select(IncidentRow.queue))) == {"not refused", "lately"}


async def test_an_action_on_many_jobs_goes_bit_by_bit(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.retention.JOBS_BATCH", 2)
    async with AsyncSession(engine) as session, session.begin():
        for at_ms in (OLD, NEW):
            asked = Action(0, Stage.ENDED, "retry", "prod", "main", "orders", {}, 3, None, "", "Ann", at_ms)
            added = await add_action(session, asked, Destination(1), "1")
            await add_fates(session, added.id, dict.fromkeys("abc", Fate.COMPLETED))
    left: list[tuple[int, int]] = []
    for _ in range(3):
        async with AsyncSession(engine) as session, session.begin():
            await forget(session, NEW)
            counts = [await session.scalar(select(func.count()).select_from(one)) for one in (ActionRow, ActionJob)]
            left.append((counts[0] or 0, counts[1] or 0))
    assert left == [(2, 4), (1, 3), (1, 3)]


async def test_of_the_audit_a_year_is_kept(engine: AsyncEngine) -> None:
    now = datetime.now(UTC)
    async with AsyncSession(engine) as session, session.begin():
        session.add_all(AuditRow(at=now - timedelta(days=days), action=f"{days} days ago") for days in (1, 364, 366))
    async with AsyncSession(engine) as session, session.begin():
        assert await forget_audit(session) == 1
    async with AsyncSession(engine) as session, session.begin():
        assert set(await session.scalars(select(AuditRow.action))) == {"1 days ago", "364 days ago"}


async def test_the_pace_of_a_chat_is_forgotten_once_it_is_an_hour_past(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await paces.spend(session, {1: 1, 2: 1, 3: 1, 4: 1})
        await paces.freeze(session, 3, 60)
        past = {"second_at": func.now() - timedelta(hours=2), "minute_at": func.now() - timedelta(hours=2)}
        await session.execute(update(ChatPace).where(ChatPace.chat_id.in_((1, 3, 4))).values(past))
        await session.execute(
            update(ChatPace).where(ChatPace.chat_id.in_((1, 4))).values(frozen_until=func.now() - timedelta(hours=2))
        )
    async with AsyncSession(engine) as other, other.begin():
        await other.execute(select(ChatPace).where(ChatPace.chat_id == 4).with_for_update())
        async with AsyncSession(engine) as session, session.begin():
            await paces.forget_paces(session)
    async with AsyncSession(engine) as session:
        assert set(await session.scalars(select(ChatPace.chat_id))) == {2, 3, 4}


async def test_what_was_heard_is_known_for_as_long_as_it_may_be_told_again(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        assert [await is_news(session, number) for number in (1, 2, 1)] == [True, True, False]
        long_ago = func.now() - KEEP - timedelta(hours=1)
        await session.execute(update(UpdateRow).where(UpdateRow.update_id == 1).values(heard_at=long_ago))
        await forget_updates(session)
        assert [await is_news(session, number) for number in (1, 2)] == [True, False]
