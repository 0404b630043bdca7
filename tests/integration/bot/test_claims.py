"""Several senders on one outbox: each message is claimed by one, and free again when that one is gone."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot import turns
from bot.delivery import sending
from bot.delivery.pacing import CHAT_BURST, MOST_DEBT
from bot.delivery.sending import Delivery
from bot.errors import Fenced
from bot.incidents.alerts import Alerts
from bot.incidents.consume import Consumer, Progress
from bot.incidents.machine import Phase
from bot.kafka import Cluster, KafkaRecord, PositionedFeed, Sight
from bot.metrics import Metrics
from bot.people.seal import Seal
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.routing.routes import Destination
from bot.rules.policy import Policy
from bot.rules.rulebook import RuleBook
from bot.settings import BotSettings
from bot.store import paces
from bot.store.chats import put_chat_off
from bot.store.claims import claim_due, mark_ended, mark_sent
from bot.store.database import POSTGRES, Database, Session, open_engine
from bot.store.incidents import write
from bot.store.models import Card, ChatPace, StormRow
from bot.store.offsets import Reading, Whole, advance, begin_at, note_reading, read_offsets, whole_reading
from bot.store.outbox import Rewrite, Subject, nudge, nudge_in, put, put_reminder
from bot.store.sent import depth
from bot.store.stale import drop_stale
from bot.store.storms import nudge_below
from bot.telegram import TELEGRAM, Polling, Telegram
from bot.turns import Turns
from tests.certificate import make_certificate
from tests.eventually import eventually
from tests.integration.bot.house import CHAT, TOKEN, House, failure, snapshot
from tests.integration.bot.link import Link
from tests.integration.bot.test_answers import make_chat
from tests.integration.bot.test_postgres_refuses import Sql
from tests.integration.bot.test_retention import incident
from tests.servers.pgbouncer import running_pgbouncer
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers, Unavailable
from tocsin.health import Health
from tocsin.settings import read

CHATS = 6
OTHER = 3003
HEARS = "our_turn_to_poll"
FAILOVER_SECONDS = 15.0
"""By what the next one says itself: how long the other had been silent, and how long its poll took to begin."""


@pytest.fixture
async def engine(engine: AsyncEngine) -> AsyncEngine:
    """With one message for each of some chats."""
    async with AsyncSession(engine) as session, session.begin():
        for chat in range(CHATS):
            put(session, Subject("notice"), Destination(chat + 1), "text", (), now_ms=1)
    return engine


async def claim(engine: AsyncEngine, sender: str, *, lease_seconds: float = 60, most: int = CHATS) -> set[int]:
    async with AsyncSession(engine) as session, session.begin():
        found = await claim_due(session, now_ms=2, not_to=(), most=most, sender=sender, lease_seconds=lease_seconds)
        return {card.id for card in found}


async def test_no_message_is_claimed_by_two(engine: AsyncEngine) -> None:
    found = await asyncio.gather(*(claim(engine, f"s{number}", most=2) for number in range(4)))
    found += [await claim(engine, "last")]
    assert sum(len(one) for one in found) == len(set[int]().union(*found)) == CHATS


async def test_a_sender_gets_its_own_again_and_others_get_them_when_its_lease_has_ended(engine: AsyncEngine) -> None:
    mine = await claim(engine, "a")
    assert len(mine) == CHATS
    assert await claim(engine, "b") == set()
    assert await claim(engine, "a", lease_seconds=0.2) == mine

    async def taken() -> bool:
        return await claim(engine, "b") == mine

    await eventually(taken, what="the claim of those whose lease has ended")


async def test_the_outbox_is_as_old_as_its_oldest_message_that_is_not_there_yet(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        cards = (await session.scalars(select(Card).order_by(Card.id))).all()
        for number, card in enumerate(cards):  # one is there, and an edit of it waits; others' texts changed meanwhile
            card.message_id, card.created_ms, card.changed_ms = 7 if number == 0 else None, 1000 * (number + 1), 99_000
        cards[1].note = "the chat is away"
        await session.flush()
        found = await depth(session, dead_since_ms=0)
        assert (found.waiting, found.oldest_ms, found.unsent_ms) == (CHATS - 1, 99_000, 3000)
        assert found.unsent_seconds(now=10.0) == 7.0
        await session.execute(update(Card).values(message_id=7))
        found = await depth(session, dead_since_ms=0)
        assert (found.waiting, found.unsent_ms, found.unsent_seconds(now=10.0)) == (CHATS - 1, None, 0.0)


async def test_what_was_said_anew_while_it_was_being_sent_is_edited_then(engine: AsyncEngine) -> None:
    """A nudge, a reminder: the count at Telegram is to be the newest, whatever was on its way."""
    place = Destination(77)

    async def nudged(session: AsyncSession, word: str) -> None:
        await nudge(session, Rewrite(incident_id, 1, word, ()), now_ms=1)

    async def nudged_in(session: AsyncSession, word: str) -> None:
        assert await nudge_in(session, place, Rewrite(incident_id, 1, word, ()), now_ms=1)

    async def nudged_below(session: AsyncSession, word: str) -> None:
        storm = await session.get_one(Card, storm_card_id)
        await nudge_below(session, storm, place, word, (), now_ms=1)

    async def reminded(session: AsyncSession, word: str) -> None:
        await put_reminder(session, place, word, (), now_ms=1)

    async with AsyncSession(engine) as session, session.begin():
        await session.execute(delete(Card))
        row = write(session, None, incident("orders", Phase.FIRING, 1))
        storm = StormRow(env="prod", began_ms=1, joined_ms=1, is_open=True)
        session.add(storm)
        await session.flush()
        incident_id = row.id
        for subject in (Subject("incident", row.id, 1), Subject("storm", storm_id=storm.id)):
            put(session, subject, place, "the alert", (), now_ms=1)
        await session.flush()
        await session.execute(update(Card).values(message_id=7, sent=1))
        storm_card_id = await session.scalar(select(Card.id).where(Card.storm_id == storm.id))
        await session.execute(delete(ChatPace))
    for say in (nudged, nudged_in, nudged_below, reminded):
        async with AsyncSession(engine) as session, session.begin():
            await say(session, "x10")
        async with AsyncSession(engine) as session, session.begin():
            [sent] = await claim_due(session, now_ms=2, not_to=(), most=9, sender="a", lease_seconds=60)
            card_id, version = sent.id, sent.wanted
            await session.execute(delete(ChatPace))
        async with AsyncSession(engine) as session, session.begin():
            await say(session, "x100")
        async with AsyncSession(engine) as session, session.begin():
            await mark_sent(session, card_id, version, 8, now_ms=3, not_before_ms=0)
        async with AsyncSession(engine) as session, session.begin():
            [edit] = await claim_due(session, now_ms=3, not_to=(), most=9, sender="a", lease_seconds=60)
            assert (edit.id, edit.text, edit.message_id) == (card_id, "x100", 8), say.__name__
            await mark_ended(session, card_id, "closed", "", now_ms=3)
            await session.execute(delete(ChatPace))


async def test_what_rings_goes_before_edits_and_these_before_digests(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        for kind in ("digest", "late", "incident"):
            put(session, Subject(kind), Destination(77), kind, (), now_ms=1)
            await session.flush()
        late = await session.scalar(select(Card.id).where(Card.kind == "late"))
        assert late is not None
        await session.execute(update(Card).where(Card.id == late).values(message_id=5))
    order: list[str] = []
    for _ in range(3):
        async with AsyncSession(engine) as session, session.begin():
            found = await claim_due(session, now_ms=2, not_to=range(1, 7), most=9, sender="a", lease_seconds=60)
            order += [card.kind for card in found]
            await mark_sent(session, found[0].id, 1, 9, now_ms=3, not_before_ms=3)
    assert order == ["incident", "late", "digest"]


async def test_who_is_paged_is_told_before_all_others_and_groups_by_their_age(engine: AsyncEngine) -> None:
    about = Subject("incident")
    async with AsyncSession(engine) as session, session.begin():
        for chat in (-200, -100, 4242):
            put(session, about, Destination(chat), "text", (), now_ms=1)
            await session.flush()
    order: list[int] = []
    for _ in range(3):
        async with AsyncSession(engine) as session, session.begin():
            [card] = await claim_due(session, now_ms=2, not_to=range(1, 7), most=1, sender="a", lease_seconds=60)
            order.append(card.chat_id)
            await mark_sent(session, card.id, 1, 9, now_ms=3, not_before_ms=3)
    assert order == [4242, -200, -100]


async def test_a_partition_that_another_began_is_left_where_that_one_is(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await begin_at(session, "kafka", "jobs", 0, 5)
        await advance(session, "kafka", "jobs", 0, 5, 9)
    with pytest.raises(Fenced):
        async with AsyncSession(engine) as session, session.begin():
            await begin_at(session, "kafka", "jobs", 0, 5)
    async with AsyncSession(engine) as session:
        assert await read_offsets(session, "kafka", "jobs", [0]) == {0: 9}


async def test_a_claim_waits_for_nobody_who_is_changing_cards(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await mark_ended(session, 2, "closed", "", now_ms=3)  # holds its row until the block ends
        async with asyncio.timeout(30):
            assert await claim(engine, "a") == {1, 3, 4, 5, 6}


async def test_a_claim_holds_only_the_version_that_is_being_sent(engine: AsyncEngine) -> None:
    [card_id] = await claim(engine, "a", most=1)
    async with AsyncSession(engine) as session, session.begin():
        await mark_sent(session, card_id, 1, 77, now_ms=3, not_before_ms=3)
    assert card_id not in await claim(engine, "a")


@pytest.mark.parametrize("chat", [500, -500])
async def test_two_senders_have_one_chats_budget_between_them(engine: AsyncEngine, chat: int) -> None:
    async with AsyncSession(engine) as session, session.begin():
        for _ in range(20):
            put(session, Subject("notice"), Destination(chat), "text", (), now_ms=1)
    began, count = time.monotonic(), 0
    for number in range(16):
        for sender in ("a", "b"):
            async with AsyncSession(engine) as session, session.begin():
                found = await claim_due(session, now_ms=2, not_to=range(1, 7), most=9, sender=sender, lease_seconds=60)
                for card in found:
                    await mark_sent(session, card.id, 1, number + 1, now_ms=3, not_before_ms=3)
                count += len(found)
    assert CHAT_BURST <= count <= CHAT_BURST + time.monotonic() - began


async def test_what_people_are_answered_is_of_the_same_budget_and_holds_up_alerts_a_little(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await paces.spend(session, {1: 1000, 2: CHAT_BURST})
    assert await claim(engine, "a", most=6) == {3, 4, 5, 6}

    async def all_claimed() -> bool:
        return {1, 2} <= await claim(engine, "a")

    await eventually(all_claimed, seconds=MOST_DEBT + 20, what="the claims of those who were answered a lot")


async def test_a_chat_that_one_bot_must_not_speak_to_is_left_alone_by_all(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await paces.freeze(session, 1, 3600)
        await paces.freeze(session, 1, 1)
        assert 3500 < (await paces.frozen(session))[1] <= 3600
    assert await claim(engine, "a") == await claim(engine, "a") == {2, 3, 4, 5, 6}


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
    """Whether so many connections wait for a row; those that were given up go on waiting."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with AsyncSession(engine) as session:
        return await session.scalar(text(waits)) == count


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
        await eventually(lambda: have_waited(engine, 2), seconds=30, what="a second try")

    async def is_told() -> bool:
        async with AsyncSession(engine) as session:
            return await session.scalar(mine) != before and not sender.pacer.answered

    await eventually(is_told, what="the answer")


async def test_a_topic_is_read_as_far_as_the_partition_that_is_furthest_behind(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        for partition in range(3):
            await begin_at(session, "kafka", "jobs", partition, 5)
        await note_reading(session, "kafka", "jobs", {0: Reading(900, 3), 1: Reading(700, 0)})
        assert await whole_reading(session, "kafka", "jobs", 3) == Whole()
        await note_reading(session, "kafka", "jobs", {1: Reading(None, 2), 2: Reading(800, 0)})
        found = await whole_reading(session, "kafka", "jobs", 3)
        assert (found.heard_ms, found.lag) == (700, 5)
        assert found.read_ago is not None
        assert await whole_reading(session, "kafka", "jobs", 4) == Whole()  # one that nobody has begun yet
        assert await whole_reading(session, "another", "jobs", 3) == Whole()
        found = await whole_reading(session, "kafka", "jobs", 1)  # made anew, smaller
        assert (found.heard_ms, found.lag) == (900, 3)


class HandingOver(PositionedFeed):
    """Partition 0, all read; the moment that has been noted, 1 too, of which nothing is read. No Kafka."""

    def __init__(self) -> None:
        self.topic = "jobs"
        self.mine = {0: 0}
        """Partition -> how much of it is to be read."""
        self.looks = 0
        self._waiting, self._asked = {0}, list[str]()

    def unplaced(self) -> list[int]:
        return sorted(self._waiting)

    async def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        return dict.fromkeys(partitions, (0, 9))

    def place(self, positions: Mapping[int, int]) -> None:
        self._waiting -= set(positions)

    def unplace(self, partition: int) -> None:
        self._waiting.add(partition)

    async def read(self, *, wait_seconds: float, most: int) -> dict[int, list[KafkaRecord]]:
        await asyncio.sleep(0.02)
        if self._asked == ["behind"] and len(self.mine) == 1:
            self.mine[1], self._waiting = 3, {0, 1}
        self._asked.clear()
        return {}

    async def look(self) -> Sight | None:
        self._asked.append("look")
        self.looks += 1
        return None if self._waiting else Sight(int(time.time() * 1000), dict.fromkeys(self.mine, 9))

    def partition_count(self) -> int:
        return 2

    async def behind(self, sight: Sight) -> dict[int, int] | None:
        self._asked.append("behind")
        return None if self._waiting or set(sight.ends) != set(self.mine) else dict(self.mine)


def reader(engine: AsyncEngine, feed: PositionedFeed, progress: Progress) -> Consumer:
    """What counts the jobs of a feed."""
    settings, metrics = read(BotSettings, BASE), Metrics(CollectorRegistry())
    return Consumer(
        feed,
        Cluster("kafka", frozenset()),
        Database(engine, Breakers(settings, CollectorRegistry()), timeout=30),
        Alerts(Chats(settings), RuleBook(Policy()), metrics, Links(""), Seal("secret")),
        metrics,
        Health(),
        skew_ms={},
        born_ms=0,
        woken=lambda: None,
        progress=progress,
    )


class StillRead(HandingOver):
    """Partition 0, which another bot reads on, to 12, once Kafka has told us that it ends at 9. No Kafka."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self.engine = engine
        self.placed = dict[int, int]()

    async def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        async with AsyncSession(self.engine) as session, session.begin():
            await advance(session, "kafka", "jobs", 0, 9, 12)
        return await super().bounds(partitions)

    def place(self, positions: Mapping[int, int]) -> None:
        super().place(positions)
        self.placed |= positions


async def test_what_another_bot_reads_while_a_partition_changes_hands_is_not_taken_for_a_new_topic(
    engine: AsyncEngine,
) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await begin_at(session, "kafka", "jobs", 0, 9)
    feed, stop = StillRead(engine), asyncio.Event()
    async with asyncio.TaskGroup() as running:
        running.create_task(reader(engine, feed, Progress()).run(stop))
        await eventually(lambda: bool(feed.placed), what="the partition in its place")
        stop.set()
    async with AsyncSession(engine) as session:
        assert await read_offsets(session, "kafka", "jobs", [0]) == {0: 12}, "what was counted is counted again"
    assert feed.placed == {0: 9}


async def test_what_was_heard_before_a_partition_came_is_not_said_of_that_partition(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.incidents.consume.LOOK_SECONDS", 0.5)
    async with AsyncSession(engine) as session, session.begin():
        await begin_at(session, "kafka", "jobs", 1, 5)
        await note_reading(session, "kafka", "jobs", {1: Reading(700, 0)})
    feed, stop, progress = HandingOver(), asyncio.Event(), Progress()
    consumer = reader(engine, feed, progress)
    async with asyncio.TaskGroup() as running:
        running.create_task(consumer.run(stop))
        await eventually(lambda: 1 in feed.mine, what="the other partition")
        looks = feed.looks
        await eventually(lambda: feed.looks > looks + 3 and progress.lag == 3, what="several looks at both")
        assert progress.heard_ms == 700, "nothing of it has been read since the other bot left it"
        feed.mine[1] = 0
        await eventually(lambda: (progress.heard_ms or 0) > 700, what="both being read")
        stop.set()


async def nothing_waits(house: House) -> bool:
    engine = open_engine(house.postgres)
    async with engine.connect() as connection:
        waiting = await connection.scalar(text(f"SELECT count(*) FROM cards WHERE wanted > sent AND chat_id = {CHAT}"))
    await engine.dispose()
    return waiting == 0


@dataclass
class Poller:
    """What a bot polls Telegram with."""

    polling: Polling = field(default_factory=lambda: Polling(lambda: None))
    is_polling: bool = False

    async def listen(self, over: asyncio.Event) -> None:
        self.is_polling = True
        await over.wait()
        self.is_polling = False

    async def me(self) -> str:
        return "tocsin"


async def take_turns(poller: Poller, through: AsyncEngine, stop: asyncio.Event) -> None:
    registry = CollectorRegistry()
    breakers, telegram = Breakers(read(BotSettings, BASE), registry), cast(Telegram, poller)
    one = Turns(Database(through, breakers, timeout=30), telegram, breakers, Health(TELEGRAM), Metrics(registry))
    one.has_tables.set()
    await one.run(poller.listen, stop)


async def test_a_poller_that_telegram_tells_nothing_gives_its_lease_to_one_that_hears(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(turns, "STANDBY_SECONDS", 0.05)
    monkeypatch.setattr(turns, "DEAF_SECONDS", 0.5)
    deaf, hearing, stop = Poller(), Poller(), asyncio.Event()
    hearing.polling.answered_at = math.inf
    async with asyncio.TaskGroup() as running:
        running.create_task(take_turns(deaf, engine, stop))
        await eventually(lambda: deaf.is_polling, what="the turn of the first")
        running.create_task(take_turns(hearing, engine, stop))
        await eventually(lambda: hearing.is_polling, what="the turn of the second")
        assert not deaf.is_polling
        stop.set()


async def test_a_poller_that_postgres_has_lost_goes_on_alone_and_gives_way_to_the_one_it_meets(
    engine: AsyncEngine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEASE_SECONDS", 2.0)
    monkeypatch.setattr(turns, "RENEW_SECONDS", 0.2)
    url = urlsplit(postgres_url)
    link = Link(url.hostname or "127.0.0.1", url.port or 5432)
    await link.start()
    behind = open_engine(postgres_url.replace(f":{url.port}/", f":{link.port}/"))
    first, second, stop = Poller(), Poller(), asyncio.Event()

    async with asyncio.TaskGroup() as running:
        running.create_task(take_turns(first, behind, stop))
        await eventually(lambda: first.is_polling, what="the turn of the first")
        running.create_task(take_turns(second, engine, stop))
        await link.set("refusing")
        await eventually(lambda: second.is_polling, what="the turn of the second")
        assert first.is_polling, "for all it knows it is alone"

        def has_given_way() -> bool:
            first.polling.conflict_at = time.monotonic()  # they meet at each poll
            return not first.is_polling

        await eventually(has_given_way, what="the first giving way")
        assert second.is_polling
        stop.set()
    await behind.dispose()
    await link.stop()


@pytest.fixture
async def pooled(house: House) -> AsyncGenerator[House]:
    """A house whose bots reach Postgres through PgBouncer in transaction mode, over TLS."""
    certificate = make_certificate(house.folder)
    async with running_pgbouncer(house.folder, house.postgres, certificate) as url:
        address = url.replace("127.0.0.1", "localhost")
        house.environ |= {"DATABASE_URL": f"{address}?sslmode=verify-full", "PGSSLROOTCERT": str(certificate)}
        yield house
        for bot in house.bots:
            await bot.kill()


async def calls_to_other(house: House) -> int:
    return sum(one["chat_id"] == OTHER for one in await house.calls("sendMessage"))


async def status_says(house: House, part: str) -> bool:
    status, _ = await house.ask("/status", expect="Kafka")
    return part in status


async def test_of_two_bots_behind_pgbouncer_one_polls_and_the_other_takes_over_without_a_double(
    pooled: House,
) -> None:
    house = pooled
    await house.put(snapshot("orders", waiting=5))
    sql = Sql(house.postgres)
    await make_chat(house, id=OTHER, first_name="Other")
    await house.fault(kind="retry_after", retry_after=3600, chat_id=OTHER, method="sendMessage", times=None)
    house.environ["TELEGRAM_ALERT_CHATS"] = f"{CHAT},{OTHER}"
    first = await house.start_bot()
    second = await house.start_bot()

    async def is_frozen() -> bool:
        return bool(await sql.value(f"SELECT true FROM chat_paces WHERE chat_id = {OTHER} AND frozen_until > now()"))

    await eventually(is_frozen, what="the greeting's 429")
    refused = await calls_to_other(house)
    for number in range(12):
        await house.put(failure(f"q{number}", fingerprint=f"f{number}"))

    async def all_rung() -> bool:
        return len({one.splitlines()[0] for one in await house.alerts()}) == 12

    await eventually(all_rung, what="every alert")
    # A kill between Telegram's acceptance and our commit doubles a message (promise 4): not now.
    await eventually(lambda: nothing_waits(house), what="the last commit")
    assert await calls_to_other(house) == refused, "a chat that asked one bot for silence was spoken to"
    assert (HEARS in first.output(), HEARS in second.output()) == (True, False)
    # How far all is read is what /status tells: here of a partition that nobody reads any more.
    deaf = "NEW.lag := 7; NEW.read_at := now() - interval '2 hours'; RETURN NEW;"
    await sql.run(f"CREATE FUNCTION deafen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {deaf} END $$")
    when = "BEFORE UPDATE ON kafka_offsets FOR EACH ROW WHEN (NEW.partition = 0)"
    await sql.run(f"CREATE TRIGGER deafen {when} EXECUTE FUNCTION deafen()")
    await eventually(lambda: status_says(house, "7 records behind, read 2 h"), what="the deaf partition in /status")
    await sql.run("DROP TRIGGER deafen ON kafka_offsets")
    await eventually(lambda: status_says(house, "Kafka: 0 records behind"), what="the end of it")
    await first.kill()
    await house.ask("/queues", expect="waiting 5", seconds=2 * FAILOVER_SECONDS)  # twice: for this machine's load
    await eventually(lambda: bool(second.lines("polling")), what="the start of its poll")
    [turn], [poll] = second.lines(HEARS), second.lines("polling")
    assert turn["fence"] == 2
    assert 0 < turn["silent_seconds"] + poll["after_seconds"] < FAILOVER_SECONDS
    await house.put(*(failure(f"q{number}", fingerprint=f"f{number}") for number in range(12)))

    async def all_counted() -> bool:
        return len([one for one in await house.alerts() if "CardError ×2" in one]) == 12

    await eventually(all_counted, what="every count after the death of one")
    assert len(await house.alerts()) == 12
    assert "polling_conflict" not in first.output() + second.output()
    # Who is stopped lets the other go on at once.
    await house.start_bot()
    assert await second.stop() == 0
    await house.ask("/whoami", expect="this chat's id")
