"""Several bots that read one topic: how far it is read is told of each partition, whoever has it."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.errors import Fenced
from bot.incidents.alerts import Alerts
from bot.incidents.consume import Consumer, Progress
from bot.kafka import Cluster, KafkaRecord, PositionedFeed, Sight
from bot.metrics import Metrics
from bot.people.seal import Seal
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.rules.policy import Policy
from bot.rules.rulebook import RuleBook
from bot.settings import BotSettings
from bot.store.database import Database
from bot.store.offsets import Reading, Whole, advance, begin_at, note_reading, read_offsets, whole_reading
from tests.eventually import eventually
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.health import Health
from tocsin.settings import read


async def test_a_partition_that_another_began_is_left_where_that_one_is(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await begin_at(session, "kafka", "jobs", 0, 5)
        await advance(session, "kafka", "jobs", 0, 5, 9)
    with pytest.raises(Fenced):
        async with AsyncSession(engine) as session, session.begin():
            await begin_at(session, "kafka", "jobs", 0, 5)
    async with AsyncSession(engine) as session:
        assert await read_offsets(session, "kafka", "jobs", [0]) == {0: 9}


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
