"""Actions under way, on a real Postgres: what is confirmed is sent at once, and each is one bot's."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.actions.acting import FOLLOWED_AT_ONCE, Acting, Wish
from bot.actions.action import SEND_SECONDS, Action, Fate, Stage
from bot.actions.bridge import Answer, Bridge
from bot.commands.retry import since
from bot.incidents.failures import Key
from bot.incidents.handling import Handling
from bot.incidents.machine import Incident, Person, Phase
from bot.kafka import KafkaError, Replay
from bot.people.seal import Seal
from bot.render.actions import action_text
from bot.render.markup import plain
from bot.routing.routes import Destination
from bot.settings import BotSettings
from bot.store import audit
from bot.store.actions import UNDER_WAY, add_action, claim_action, renew_claim, to_action
from bot.store.audit import Actor
from bot.store.database import Database
from bot.store.incidents import write
from bot.store.models import ActionJob, ActionRow
from bot.store.outbox import Subject, put
from tests.eventually import READY_SECONDS, eventually
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers, Unavailable
from tocsin.settings import read


async def add(engine: AsyncEngine, action: str, stage: Stage, *, seconds_ago: float = 0, was_sent: bool = False) -> int:
    now_ms = int((time.time() - seconds_ago) * 1000)
    async with AsyncSession(engine) as session, session.begin():
        one = Action(0, stage, action, "prod", "main", "orders", {}, 1, None, "", "Ann", now_ms)
        added = await add_action(session, one, Destination(1), "1")
        row = await session.get_one(ActionRow, added.id)
        row.begun_ms, row.fates = now_ms, {"moving": 1}
        row.sent_ms = now_ms if was_sent else None
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

    async def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        return dict.fromkeys(partitions, 0)


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


class Silent(Willing):
    """A bridge that fails so at every call, and says so in the end."""

    def __init__(self, failure: Exception, at_last: Answer | None = None) -> None:
        super().__init__()
        self.failure = failure
        self.at_last = at_last

    async def act(self, body: Mapping[str, Any]) -> Answer:
        self.done.append(body["action"])
        if self.at_last is not None and len(self.done) > 1:
            return self.at_last
        raise Unavailable("bridge", "as told") from self.failure


class Counting(Willing):
    """A bridge that counts job 1 alone, and then does whatever it is asked for."""

    async def act(self, body: Mapping[str, Any], *, seconds: float = 0) -> Answer:
        if body.get("dry_run"):
            left_out = [{"job_id": "2", "outcome": "not_failed"}, {"job_id": "3", "outcome": "gone"}]
            return Answer(200, {"count": 1, "outcomes": {"done": 1, "not_failed": 1, "gone": 1}, "results": left_out})
        self.done += body["job_ids"]
        results = [{"job_id": one, "outcome": "done"} for one in body["job_ids"]]
        return Answer(200, {"count": len(results), "results": results})


@asynccontextmanager
async def acting(engine: AsyncEngine, bridge: Willing, feed: type[StillMoving]) -> AsyncGenerator[Acting]:
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
        yield one
    finally:
        stop.set()
        await asyncio.wait_for(running, READY_SECONDS)


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
    late = [
        await add(engine, action, Stage.BEGUN, seconds_ago=SEND_SECONDS + 1, was_sent=was_sent)
        for action, was_sent in (("retry", False), ("pause", True))
    ]
    bridge = Willing()
    async with acting(engine, bridge, KafkaIsAway):
        (never_sent, note), (sent, words) = [await end_of(engine, one) for one in late]
    assert not bridge.done
    assert (never_sent, "could not be handed to the bridge" in note) == (Stage.REFUSED, True)
    assert (sent, "have not heard what came of it" in words) == (Stage.UNKNOWN, True)
    async with AsyncSession(engine) as session:
        assert (await session.get_one(ActionRow, kept)).stage == Stage.BEGUN, "it waits for Kafka"


async def end_of(engine: AsyncEngine, number: int) -> tuple[str, str]:
    """The stage an action ends in, and its note."""

    async def ended() -> bool:
        async with AsyncSession(engine) as session:
            return (await session.get_one(ActionRow, number)).ended_ms is not None

    await eventually(ended, what="the end of the action")
    async with AsyncSession(engine) as session:
        row = await session.get_one(ActionRow, number)
        return row.stage, row.note


NO_LONGER = Answer(404, {"error": "unknown_queue", "message": "no such queue"})


@pytest.mark.parametrize(
    ("failure", "at_last", "stage", "outcome"),
    [
        (httpx.ConnectError("refused"), NO_LONGER, Stage.REFUSED, "refused"),
        (httpx.ReadTimeout("hangs"), NO_LONGER, Stage.UNKNOWN, "not known"),
        (httpx.ConnectError("refused"), Answer(500, {"error": "internal"}), Stage.UNKNOWN, "not known"),
    ],
    ids=["never heard of it", "heard and did not answer", "broke at it"],
)
async def test_it_is_not_said_of_what_may_have_been_done_that_it_was_not(
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    at_last: Answer,
    stage: Stage,
    outcome: str,
) -> None:
    monkeypatch.setattr("bot.actions.acting.RETRY_SECONDS", 0.05)
    number = await add(engine, "pause", Stage.BEGUN)
    async with AsyncSession(engine) as session, session.begin():
        request_id = to_action(await session.get_one(ActionRow, number)).request_id
        await audit.begin(session, Actor("1"), "pause", "main/orders", request_id=request_id, digest="")
    async with acting(engine, Silent(failure, at_last), StillMoving):
        assert (await end_of(engine, number))[0] == stage
    async with AsyncSession(engine) as session:
        [told] = await audit.newest(session, limit=1)
        row = await session.get_one(ActionRow, number)
    assert told.outcome.partition(":")[0] == outcome
    says = "Not known whether it was done:" if stage is Stage.UNKNOWN else "Not done:"
    text = plain(action_text(to_action(row)))
    assert (says in text, "Look before you ask again: /queue orders" in text) == (True, stage is Stage.UNKNOWN)


async def test_a_job_that_was_not_counted_is_not_acted_on_though_it_failed_before_the_second_tap(
    engine: AsyncEngine,
) -> None:
    bridge, ann = Counting(), Person(1, "Ann")
    wish = Wish("retry", "prod", "main", "orders", {"job_ids": ["1", "2", "3"]})
    async with acting(engine, bridge, StillMoving) as one:
        asked, others = await one.ask(wish, ann, Destination(1))
        assert (asked.count, others) == (1, {"not_failed": 1, "gone": 1})
        await one.begin(asked.id, ann, None)

        async def is_sent() -> bool:
            return bool(bridge.done)

        await eventually(is_sent, what="the request")
    assert bridge.done == ["1"]


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


async def test_the_button_of_an_earlier_episode_asks_for_what_failed_in_it_too(engine: AsyncEngine) -> None:
    times: dict[str, Any] = {"first_ms": 9_000_000, "last_ms": 9_000_000, "touched_ms": 9_100_000}
    again = Incident(Key("prod", "main", "orders", "f"), Phase.REGRESSED, 2, count=1, total=2, has_rung=True, **times)
    async with AsyncSession(engine) as session, session.begin():
        row = write(session, None, again)
        await session.flush()
        for episode, told_ms in ((1, 5_100_000), (2, 9_100_000)):
            put(session, Subject("incident", row.id, episode), Destination(1), "text", (), now_ms=told_ms)
        await session.flush()
        found = [(await since(session, row.id, again, episode)).first_ms for episode in (1, 2, 0)]
    assert found == [5_000_000, 9_000_000, 9_000_000]
