"""Several senders on one outbox: each message is claimed by one, and free again when that one is gone."""

import asyncio
import time

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.delivery.pacing import CHAT_BURST
from bot.incidents.machine import Phase
from bot.routing.routes import Destination
from bot.store import paces
from bot.store.chats import move_chat
from bot.store.claims import claim_due, mark_ended, mark_sent
from bot.store.incidents import write
from bot.store.models import Card, ChatPace, StormRow
from bot.store.outbox import Rewrite, Subject, nudge, nudge_in, put, put_reminder
from bot.store.sent import depth
from bot.store.storms import nudge_below
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bot.test_retention import incident

CHATS = 6


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
            await mark_sent(session, card_id, version, 8, chat_id=77, now_ms=3, not_before_ms=0)
        async with AsyncSession(engine) as session, session.begin():
            [edit] = await claim_due(session, now_ms=3, not_to=(), most=9, sender="a", lease_seconds=60)
            assert (edit.id, edit.text, edit.message_id) == (card_id, "x100", 8), say.__name__
            await mark_ended(session, card_id, "closed", "", now_ms=3)
            await session.execute(delete(ChatPace))


async def test_what_rings_goes_before_digests_and_these_before_edits(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        for kind in ("late", "digest", "incident"):
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
            await mark_sent(session, found[0].id, 1, 9, chat_id=77, now_ms=3, not_before_ms=3)
    assert order == ["incident", "digest", "late"]


async def test_what_changes_all_the_time_keeps_back_no_other_edit(engine: AsyncEngine) -> None:
    busy = Card.text != "acked"
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(delete(Card))
        for said in ("busy", "busy too", "acked"):
            put(session, Subject("incident"), Destination(-77), said, (), now_ms=1, message_id=5)
            await session.flush()
    order: list[str] = []
    for now_ms in range(4000, 20_000, 4000):  # a group may have one in 4 s, and each is edited every 5 s
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(update(Card).where(busy).values(wanted=Card.wanted + 1))
            await session.execute(delete(ChatPace))
        async with AsyncSession(engine) as session, session.begin():
            [card] = await claim_due(session, now_ms=now_ms, not_to=(), most=9, sender="a", lease_seconds=60)
            order.append(card.text)
            await mark_sent(session, card.id, card.wanted, 5, chat_id=-77, now_ms=now_ms, not_before_ms=now_ms + 5000)
    assert order == ["busy", "busy too", "acked", "busy"]


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
            await mark_sent(session, card.id, 1, 9, chat_id=card.chat_id, now_ms=3, not_before_ms=3)
    assert order == [4242, -200, -100]


async def test_what_a_group_took_just_before_it_moved_is_not_edited_by_its_old_number(engine: AsyncEngine) -> None:
    old, new = -5, -1005
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(delete(Card))
        put(session, Subject("incident"), Destination(old), "text", (), now_ms=1)
    async with AsyncSession(engine) as session, session.begin():
        [card] = await claim_due(session, now_ms=2, not_to=(), most=9, sender="a", lease_seconds=60)
        card_id = card.id
        await move_chat(session, old, new)
    async with AsyncSession(engine) as session, session.begin():
        await mark_sent(session, card_id, 1, 7, chat_id=old, now_ms=3, not_before_ms=3)
    async with AsyncSession(engine) as session:
        [moved] = await session.scalars(select(Card))
        assert (moved.chat_id, moved.sent, moved.message_id) == (new, 1, None)


async def test_a_claim_waits_for_nobody_who_is_changing_cards(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await mark_ended(session, 2, "closed", "", now_ms=3)  # holds its row until the block ends
        async with asyncio.timeout(READY_SECONDS):
            assert await claim(engine, "a") == {1, 3, 4, 5, 6}


async def test_a_claim_holds_only_the_version_that_is_being_sent(engine: AsyncEngine) -> None:
    [card_id] = await claim(engine, "a", most=1)
    async with AsyncSession(engine) as session, session.begin():
        await mark_sent(session, card_id, 1, 77, chat_id=card_id, now_ms=3, not_before_ms=3)
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
                    await mark_sent(session, card.id, 1, number + 1, chat_id=chat, now_ms=3, not_before_ms=3)
                count += len(found)
    assert CHAT_BURST <= count <= CHAT_BURST + time.monotonic() - began


async def test_what_people_are_answered_is_of_the_same_budget_and_holds_up_alerts_a_little(engine: AsyncEngine) -> None:
    began = time.monotonic()
    async with AsyncSession(engine) as session, session.begin():
        await paces.spend(session, {1: 1000, 2: CHAT_BURST})
    found = await claim(engine, "a", most=6)
    assert found - {2} == {3, 4, 5, 6}
    assert 2 not in found or time.monotonic() - began >= 1, "it may be spoken to once a second"

    async def all_claimed() -> bool:
        return {1, 2} <= await claim(engine, "a")

    await eventually(all_claimed, what="the claims of those who were answered a lot")


async def test_a_chat_that_one_bot_must_not_speak_to_is_left_alone_by_all(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await paces.freeze(session, 1, 3600)
        await paces.freeze(session, 1, 1)
        assert 3500 < (await paces.frozen(session))[1] <= 3600
    assert await claim(engine, "a") == await claim(engine, "a") == {2, 3, 4, 5, 6}
