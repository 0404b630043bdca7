"""Senders that run side by side: nothing goes out twice where Postgres is away or late, or one of them is stopped."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.delivery import sending
from bot.delivery.sending import Delivery
from bot.metrics import Metrics
from bot.routing.chats import Chats
from bot.routing.routes import Destination
from bot.settings import BotSettings
from bot.store import paces
from bot.store.chats import put_chat_off
from bot.store.database import POSTGRES, Database, Session
from bot.store.models import Card, ChatPace
from bot.store.outbox import Subject, put, put_reminder
from bot.store.stale import drop_stale
from bot.telegram import Telegram
from tests.eventually import eventually
from tests.integration.bot.house import TOKEN
from tests.integration.bot.test_claims import claim
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers, Unavailable
from tocsin.health import Health
from tocsin.settings import read


@pytest.fixture
async def sender(engine: AsyncEngine) -> AsyncGenerator[Delivery]:
    """A bot's sender with nothing to send, running; it gives a transaction up after 3 s."""
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(delete(Card))
        await paces.hold_free(session, (5, 7))
    settings, registry, stop = read(BotSettings, BASE), CollectorRegistry(), asyncio.Event()
    breakers, telegram = Breakers(settings, registry), Telegram(TOKEN, "http://127.0.0.1:1", lambda: None)
    one = Delivery(
        *(Database(engine, breakers, timeout=3), telegram, breakers, Chats(settings), Metrics(registry), Health()),
        edit_seconds=1,
        call_seconds=1,
    )
    async with asyncio.TaskGroup() as running:
        running.create_task(one.run(stop))
        yield one
        stop.set()
    await telegram.close()


class FaultyDatabase(Database):
    """Postgres that is away, or whose answer to one commit comes late."""

    def __init__(self, engine: AsyncEngine, breakers: Breakers) -> None:
        super().__init__(engine, breakers, timeout=30)
        self.is_away = self.is_next_late = False
        self.answers = asyncio.Event()

    @asynccontextmanager
    async def transaction(self, *, timeout: float | None = None) -> AsyncGenerator[Session]:
        if self.is_away:
            raise Unavailable(POSTGRES, "away")
        is_late, self.is_next_late = self.is_next_late, False
        async with super().transaction(timeout=timeout) as session:
            yield session
        if is_late:
            await self.answers.wait()


class Hearing:
    """Telegram, which takes every message; taken: called at once with each."""

    def __init__(self, taken: Callable[[str], Awaitable[None] | None] = lambda text: None) -> None:
        self.said = list[str]()
        self._taken = taken

    async def send(self, chat_id: int, text: str, **how: object) -> int:
        self.said.append(text)
        number = len(self.said)
        after = self._taken(text)
        if after is not None:
            await after
        return number


class Pausing(Delivery):
    """One whose process can be stopped between the claim of a message and its call to Telegram."""

    goes_on: asyncio.Event
    has_claimed = has_gone_on = False

    async def _deliver(self, card: Card, begins_by: float) -> None:
        self.has_claimed = True
        await self.goes_on.wait()
        await super()._deliver(card, begins_by)
        self.has_gone_on = True


def of(engine: AsyncEngine, telegram: Hearing, kind: type[Delivery] = Delivery) -> tuple[Delivery, FaultyDatabase]:
    """A sender of its own."""
    settings, registry = read(BotSettings, BASE), CollectorRegistry()
    breakers = Breakers(settings, registry)
    database = FaultyDatabase(engine, breakers)
    one = kind(
        *(database, cast(Telegram, telegram), breakers, Chats(settings), Metrics(registry), Health()),
        edit_seconds=1,
        call_seconds=0.3,
    )
    return one, database


async def want(engine: AsyncEngine, chat_id: int, what: str) -> None:
    async with AsyncSession(engine) as session, session.begin():
        put(session, Subject("notice"), Destination(chat_id), what, (), now_ms=1)


@pytest.fixture
async def empty(engine: AsyncEngine) -> AsyncEngine:
    """A database whose outbox is empty."""
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(delete(Card))
    return engine


async def test_an_answer_of_postgres_that_comes_late_lets_nothing_be_sent_twice(empty: AsyncEngine) -> None:
    """The first message is written down by somebody faster, so that the second is being sent when that answer comes."""
    may_take, stop = asyncio.Event(), asyncio.Event()

    def taken(text: str) -> Awaitable[None] | None:
        if text != "first":
            return waited(may_take)
        database.is_next_late = True
        return None

    telegram = Hearing(taken)
    delivery, database = of(empty, telegram)
    await want(empty, 7, "first")
    async with asyncio.TaskGroup() as running:
        running.create_task(delivery.run(stop))
        await eventually(lambda: "first" in telegram.said, what="the first message")
        await want(empty, 7, "second")
        await eventually(lambda: "second" in telegram.said, what="the second message")
        database.answers.set()
        for chat_id in (8, 9):  # a claim that has begun before the answer, and one after it
            await want(empty, chat_id, f"to {chat_id}")
            await eventually(lambda chat_id=chat_id: f"to {chat_id}" in telegram.said, what="another chat's message")
        may_take.set()
        stop.set()
    assert telegram.said == ["first", "second", "to 8", "to 9"]


async def is_written(engine: AsyncEngine) -> bool:
    """Whether what was said to 7 is in Postgres."""
    async with AsyncSession(engine) as session:
        return await session.scalar(select(Card.sent).where(Card.chat_id == 7)) == 1


async def waited(event: asyncio.Event) -> None:
    await event.wait()


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is claimed is free for others after 1.1 s."""
    monkeypatch.setattr(sending, "NEW_SECONDS", 0.5)
    monkeypatch.setattr(sending, "LEASE_SPARE_SECONDS", 0.3)


async def test_who_was_stopped_between_claim_and_call_does_not_send_what_another_has_sent_meanwhile(
    empty: AsyncEngine, short_leases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.database.STEADY_SECONDS", 0.0)
    telegram, stop = Hearing(), asyncio.Event()
    (stopped, _), (other, _) = of(empty, telegram, Pausing), of(empty, telegram)
    assert isinstance(stopped, Pausing)
    stopped.goes_on = asyncio.Event()
    await want(empty, 7, "alert")
    async with asyncio.TaskGroup() as running:
        running.create_task(stopped.run(stop))
        await eventually(lambda: stopped.has_claimed, what="the claim of the first")
        running.create_task(other.run(stop))
        await eventually(lambda: is_written(empty), what="the message, from the other, and written down")
        stopped.goes_on.set()
        await eventually(lambda: stopped.has_gone_on, what="the first's going on")
        stop.set()
    assert telegram.said == ["alert"]


async def test_after_postgres_was_away_for_all_who_comes_back_first_leaves_anothers_messages_alone(
    empty: AsyncEngine, short_leases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram has taken one, and its sender could not write that down yet."""
    monkeypatch.setattr("bot.store.database.GAP_SECONDS", 0.5)
    stop = asyncio.Event()

    def taken(text: str) -> None:
        if text == "alert":
            one.is_away = two.is_away = True

    telegram = Hearing(taken)
    (first, one), (second, two) = of(empty, telegram), of(empty, telegram)
    await want(empty, 7, "alert")

    async def is_free() -> bool:
        async with AsyncSession(empty) as session:
            return bool(await session.scalar(select(Card.claimed_until < func.clock_timestamp())))

    async with asyncio.TaskGroup() as running:
        running.create_task(first.run(stop))
        await eventually(lambda: bool(telegram.said), what="the message")
        running.create_task(second.run(stop))
        await eventually(is_free, what="the end of its lease")
        two.is_away = False
        for chat_id in (8, 9):
            await want(empty, chat_id, f"to {chat_id}")
            await eventually(lambda chat_id=chat_id: f"to {chat_id}" in telegram.said, what="another chat's message")
        one.is_away = False
        await eventually(lambda: is_written(empty), what="what the first knew")
        stop.set()
    assert telegram.said == ["alert", "to 8", "to 9"]


@pytest.mark.parametrize(("steady_seconds", "spared_seconds"), [(0.5, 3600.0), (math.inf, 1.0)])
async def test_what_a_dead_bot_has_claimed_is_taken_over_a_while_after_postgres_is_back(
    empty: AsyncEngine, monkeypatch: pytest.MonkeyPatch, steady_seconds: float, spared_seconds: float
) -> None:
    """Once it is steady; and where it comes and goes, later."""
    monkeypatch.setattr("bot.store.database.STEADY_SECONDS", steady_seconds)
    monkeypatch.setattr("bot.store.database.SPARED_SECONDS", spared_seconds)
    telegram, stop = Hearing(), asyncio.Event()
    await want(empty, 7, "alert")
    assert await claim(empty, "the dead", lease_seconds=0.1)
    delivery, _ = of(empty, telegram)
    async with asyncio.TaskGroup() as running:
        running.create_task(delivery.run(stop))
        await eventually(lambda: bool(telegram.said), what="the message")
        stop.set()


async def test_a_reminder_that_another_may_have_sent_is_not_said_to_be_left_out(empty: AsyncEngine) -> None:
    async with AsyncSession(empty) as session, session.begin():
        await put_reminder(session, Destination(8), "needed no more", (), now_ms=1)
    assert await claim(empty, "away", lease_seconds=0)
    async with AsyncSession(empty) as session, session.begin():
        assert await drop_stale(session, now_ms=2, spared_seconds=60) == []
        assert [one.sounds for one in await drop_stale(session, now_ms=2)] == [1]


async def test_two_bots_that_remind_at_once_want_one_reminder_with_the_newest_words(engine: AsyncEngine) -> None:
    async def remind(words: str, to: Destination) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await put_reminder(session, to, words, (), now_ms=1)

    async with AsyncSession(engine) as session, session.begin():
        await put_reminder(session, Destination(42, is_silent=True), "first", (), now_ms=1)
        await session.flush()
        other = asyncio.create_task(remind("second", Destination(42)))
        await eventually(lambda: have_waited(engine, 1), what="the second bot")
    await other
    async with AsyncSession(engine) as session:
        [card] = (await session.scalars(select(Card).where(Card.chat_id == 42))).all()
        assert (card.text, card.is_silent) == ("second", False)


async def test_who_speaks_to_a_bot_that_did_not_meet_their_refusal_itself_is_heard(
    engine: AsyncEngine, sender: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SWEEP_SECONDS", 0.0)
    async with AsyncSession(engine) as session, session.begin():
        put(session, Subject("notice"), Destination(42), "text", (), now_ms=1)
        await session.flush()
        await put_chat_off(session, 42, 3, "they have not pressed Start", int(time.time() * 1000) + 3_600_000)

    async def is_due() -> bool:
        sender.notice(42)
        async with AsyncSession(engine) as session:
            return await session.scalar(select(Card.note).where(Card.chat_id == 42)) == ""

    await eventually(is_due, what="what waited for them")


async def have_waited(engine: AsyncEngine, count: int) -> bool:
    """Whether so many connections or more wait for a row; those that were given up go on waiting."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with AsyncSession(engine) as session:
        return (await session.scalar(text(waits)) or 0) >= count


async def test_a_bot_tells_of_answers_and_of_silence_while_another_sends_and_neither_is_refused(
    engine: AsyncEngine, sender: Delivery
) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(text("SET LOCAL deadlock_timeout = '100ms'"))
        assert await paces.hold_free(session, [5]) == [5]
        sender.pacer.answer(7, time.monotonic())
        sender.pacer.freeze(5, 60, time.monotonic())
        await eventually(lambda: have_waited(engine, 1), what="the one that tells")
        await paces.spend(session, {5: 1})

    async def is_told() -> bool:
        async with AsyncSession(engine) as session:
            return 5 in await paces.frozen(session)

    await eventually(is_told, what="the silence that was asked for")


async def test_answers_that_could_not_be_told_are_told_later(engine: AsyncEngine, sender: Delivery) -> None:
    mine = select(ChatPace.second_at).where(ChatPace.chat_id == 7)
    async with AsyncSession(engine) as session, session.begin():
        before = await session.scalar(mine.with_for_update())
        sender.pacer.answer(7, time.monotonic())
        await eventually(lambda: have_waited(engine, 2), what="a second try")

    async def is_told() -> bool:
        async with AsyncSession(engine) as session:
            return await session.scalar(mine) != before and not sender.pacer.answered

    await eventually(is_told, what="the answer")
