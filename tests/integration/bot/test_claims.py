"""Several senders on one outbox: each message is claimed by one, and free again when that one is gone."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.errors import Fenced
from bot.routing.routes import Destination
from bot.store.database import open_engine
from bot.store.migrate import migrate
from bot.store.models import Card
from bot.store.offsets import advance, begin_at, read_offsets
from bot.store.outbox import Subject, claim_due, mark_ended, mark_sent, put
from tests.certificate import make_certificate
from tests.eventually import eventually
from tests.integration.bot.house import House, failure, snapshot
from tests.pgbouncer import running_pgbouncer

CHATS = 6
HEARS = "our_turn_to_poll"
FAILOVER_SECONDS = 15.0
"""By what the next one says itself: how long the other had been silent, and how long its poll took to begin."""


@pytest.fixture
async def engine(postgres_url: str) -> AsyncGenerator[AsyncEngine]:
    """A database with one message for each of some chats."""
    one = open_engine(postgres_url)
    await migrate(one)
    async with AsyncSession(one) as session, session.begin():
        for chat in range(CHATS):
            put(session, Subject("notice"), Destination(chat + 1), "text", (), now_ms=1)
    yield one
    await one.dispose()


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


async def nothing_waits(house: House) -> bool:
    engine = open_engine(house.postgres)
    async with engine.connect() as connection:
        waiting = await connection.scalar(text("SELECT count(*) FROM cards WHERE wanted > sent"))
    await engine.dispose()
    return waiting == 0


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


async def test_of_two_bots_behind_pgbouncer_one_polls_and_the_other_takes_over_without_a_double(
    pooled: House,
) -> None:
    house = pooled
    await house.put(snapshot("orders", waiting=5))
    first = await house.start_bot()
    second = await house.start_bot()
    for number in range(12):
        await house.put(failure(f"q{number}", fingerprint=f"f{number}"))

    async def all_rung() -> bool:
        return len({one.splitlines()[0] for one in await house.alerts()}) == 12

    await eventually(all_rung, what="every alert")
    # A kill between Telegram's acceptance and our commit doubles a message (promise 4): not now.
    await eventually(lambda: nothing_waits(house), what="the last commit")
    assert (HEARS in first.output(), HEARS in second.output()) == (True, False)
    await first.kill()
    await house.ask("/queues", expect="waiting 5", seconds=60)
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
