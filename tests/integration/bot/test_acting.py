"""Actions under way, on a real Postgres: what is confirmed is sent at once, and each is one bot's."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.actions.acting import FOLLOWED_AT_ONCE, Acting
from bot.actions.action import SEND_SECONDS, Action, Fate, Stage
from bot.actions.bridge import Answer, Bridge
from bot.incidents.handling import Handling
from bot.kafka import KafkaError, Replay
from bot.people.seal import Seal
from bot.routing.routes import Destination
from bot.settings import BotSettings
from bot.store.actions import UNDER_WAY, add_action, claim_action, renew_claim
from bot.store.database import Database
from bot.store.models import ActionJob, ActionRow
from tests.eventually import eventually
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.settings import read


async def add(engine: AsyncEngine, action: str, stage: Stage, *, seconds_ago: float = 0) -> int:
    now_ms = int((time.time() - seconds_ago) * 1000)
    async with AsyncSession(engine) as session, session.begin():
        one = Action(0, stage, action, "prod", "main", "orders", {}, 1, None, "", "Ann", now_ms)
        added = await add_action(session, one, Destination(1), "1")
        row = await session.get_one(ActionRow, added.id)
        row.begun_ms, row.fates = now_ms, {"moving": 1}
        row.next_offset = 0 if stage is Stage.FOLLOWING else None
        if stage is Stage.FOLLOWING:
            session.add(ActionJob(action_id=added.id, job_id="1", fate=Fate.MOVING))
        return added.id


class StillMoving:
    """A topic of jobs that tells nothing new, as of jobs that wait out their backoff."""

    async def start(self) -> int:
        return 1

    async def stop(self) -> None: ...

    def place(self, positions: Mapping[int, int]) -> None: ...

    async def read(self, *, wait_seconds: float, most: int) -> list[Any]:
        await asyncio.sleep(wait_seconds)
        return []

    async def position(self, partition: int) -> int:
        return 0


class KafkaIsAway(StillMoving):
    async def start(self) -> int:
        raise KafkaError


class Willing:
    """A bridge that does it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def act(self, body: Mapping[str, Any]) -> Answer:
        self.done.append(body["action"])
        return Answer(200, {"count": 1, "results": [{"outcome": "done"}]})


@asynccontextmanager
async def acting(engine: AsyncEngine, bridge: Willing, feed: type[StillMoving]) -> AsyncGenerator[None]:
    """Carry out what was confirmed, meanwhile."""
    one = Acting(
        Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=30),
        cast(Bridge, bridge),
        cast(Handling, None),  # there is no incident to tell
        Seal("secret"),
        lambda: cast(Replay, feed()),
        woken=lambda: None,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(one.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


async def test_what_is_confirmed_does_not_wait_for_jobs_that_are_followed_for_hours(engine: AsyncEngine) -> None:
    for _ in range(FOLLOWED_AT_ONCE + 1):
        await add(engine, "retry", Stage.FOLLOWING)
    pause = await add(engine, "pause", Stage.BEGUN)

    async def counts() -> tuple[str | None, int]:
        async with AsyncSession(engine) as session:
            rows = (await session.scalars(select(ActionRow))).all()
            held = sum(one.claimed_until is not None for one in rows if one.stage == Stage.FOLLOWING)
            return next(one.stage for one in rows if one.id == pause), held

    async def is_done() -> bool:
        return await counts() == (Stage.ENDED, FOLLOWED_AT_ONCE)

    async with acting(engine, Willing(), StillMoving):
        await eventually(is_done, what="the pause, beside all that is followed")


async def test_what_was_confirmed_long_ago_is_not_done_when_kafka_and_the_bridge_return(engine: AsyncEngine) -> None:
    kept = await add(engine, "retry", Stage.BEGUN)
    for action in ("retry", "pause"):
        await add(engine, action, Stage.BEGUN, seconds_ago=SEND_SECONDS + 1)
    bridge, refused = Willing(), dict[str, str]()

    async def both_are_refused() -> bool:
        async with AsyncSession(engine) as session:
            rows = (await session.scalars(select(ActionRow).where(ActionRow.stage == Stage.REFUSED))).all()
            refused.update({one.action: one.note for one in rows if one.id != kept})
        return len(refused) == 2

    async with acting(engine, bridge, KafkaIsAway):
        await eventually(both_are_refused, what="the end of what was confirmed too long ago")
    assert not bridge.done
    assert "could not be handed to the bridge" in refused["retry"], "it was not sent, and the message says so"
    assert "look before you ask again" in refused["pause"], "nobody knows whether it was sent"
    async with AsyncSession(engine) as session:
        assert (await session.get_one(ActionRow, kept)).stage == Stage.BEGUN, "it waits for Kafka"


async def test_who_was_too_slow_takes_nothing_back_from_the_bot_that_went_on(engine: AsyncEngine) -> None:
    number = await add(engine, "pause", Stage.BEGUN)

    async def claimed_by(sender: str, lease_seconds: float) -> bool:
        async with AsyncSession(engine) as session, session.begin():
            row = await claim_action(session, UNDER_WAY, sender=sender, lease_seconds=lease_seconds, not_these=())
            return row is not None

    assert await claimed_by("slow", 0.01)
    await eventually(lambda: claimed_by("next", 60), what="the end of the first one's lease")
    async with AsyncSession(engine) as session, session.begin():
        assert not await renew_claim(session, number, "slow", 60)
        assert not await renew_claim(session, number, "slow", 0)
        assert await renew_claim(session, number, "next", 60)
    assert not await claimed_by("slow", 60)
