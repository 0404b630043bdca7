"""A stream that was read to its end is followed by one XREAD each time, and loses nothing by it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.sources.bullmq import lane as lanes
from bridge.sources.bullmq.door import Door, Tracked
from bridge.sources.bullmq.lane import Lane
from bridge.sources.bullmq.logs.follower import Follower
from bridge.sources.bullmq.watched import Queue
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.lanes import Kafka, lane_on, new_metrics, read_in
from tocsin.events import JobEvent, LogLine, decode


class MovedDoor(Door):
    """Of which another process may take over, and no connection breaks: as sentinels say, or a cluster's nodes."""

    primary = "old"

    def shard(self, key: str) -> str:
        return self.primary


@dataclass
class Followed:
    """A lane that reads one queue. check: let its next check of all streams be due now."""

    door: MovedDoor
    kafka: Kafka
    queue: Queue
    lane: Lane
    check: Callable[[], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def tracked(self) -> Tracked:
        """By which Redis tells of the stream."""
        found = self.lane._tracked  # pyright: ignore[reportPrivateUsage]  # whether it tells
        assert found is not None
        return found

    @property
    def follower(self) -> Follower:
        """Of jobs' logs."""
        return self.lane._follower  # pyright: ignore[reportPrivateUsage]  # when it looks

    @property
    def told(self) -> list[JobEvent]:
        return self.kafka.events

    @property
    def lines(self) -> list[LogLine]:
        self.kafka.commit()
        return [decode(LogLine, record.value or b"") for record in self.kafka.records if record.topic == "t.logs"]

    async def read_to(self, entry_id: str) -> None:
        await eventually(lambda: self.queue.position.last_id == entry_id, what="read so far")


@asynccontextmanager
async def followed(redis_url: str, app: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Followed]:
    """One whose stream of three entries was read to its end, and whose checks come when the test says so."""
    monkeypatch.setattr(lanes, "CHECK_SECONDS", 1000.0)
    await make_queue(app, "mail")
    ids = await add_events(app, "mail", 3)
    door, kafka, metrics = MovedDoor(redis_url), Kafka(), new_metrics()
    lane = lane_on(door, kafka.outbox, metrics, read_back=kafka.read_back)
    read_in(lane, door, metrics, "mail")
    (queue,) = lane._queues.values()  # pyright: ignore[reportPrivateUsage]  # how far it was read
    one = Followed(door, kafka, queue, lane, lambda: setattr(lane, "_next_check", 0.0))
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(one.stop))
        await one.read_to(ids[-1])
        assert queue.following.is_on
        yield one
        one.stop.set()
    await door.close()


async def calls(app: Any, command: str) -> int:
    """How often Redis carried it out."""
    return (await app.info("commandstats")).get(f"cmdstat_{command}", {}).get("calls", 0)


async def test_what_follows_costs_no_xinfo(app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with followed(redis_url, app, monkeypatch) as one:
        whole = await calls(app, "xinfo|stream")
        for _ in range(4):
            await one.read_to((await add_events(app, "mail", 2))[-1])
        last_id = (await add_events(app, "mail", 2))[-1]
        await one.read_to(last_id)
        assert await calls(app, "xinfo|stream") == whole
        assert len([event for event in one.told if event.event == "added"]) == 13
        assert (one.queue.position.pos, one.queue.following.is_on) == (13, True)
        one.check()
        await eventually(lambda: one.queue.following.sure_id == last_id, what="a whole read")
        assert await calls(app, "xinfo|stream") > whole


async def test_what_was_trimmed_meanwhile_is_counted(app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with followed(redis_url, app, monkeypatch) as one:
        passed = one.queue.position.last_id
        pipe = app.pipeline(transaction=True)
        for _ in range(50):
            pipe.xadd("bull:mail:events", {"event": "drained"})
        pipe.xtrim("bull:mail:events", maxlen=4, approximate=False)
        ids = [entry_id.decode() for entry_id in (await pipe.execute())[:50]]
        await one.read_to(ids[-1])
        (gap,) = [event for event in one.told if event.event == "gap"]
        assert (gap.lost, gap.gap_from, gap.gap_to) == (46, passed, ids[-4])
        assert len([event for event in one.told if event.event in ("added", "drained")]) == 3 + 4


async def test_entries_deleted_by_hand_are_counted_by_the_next_whole_read(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the end of the whole read before, and what there was last: they lay somewhere there."""
    async with followed(redis_url, app, monkeypatch) as one:
        passed = one.queue.position.last_id
        pipe = app.pipeline(transaction=True)
        for at in range(6):
            pipe.xadd("bull:mail:events", {"event": "drained"}, id=f"{int(passed.partition('-')[0]) + 1}-{at}")
        pipe.xdel("bull:mail:events", *(f"{int(passed.partition('-')[0]) + 1}-{at}" for at in (1, 2)))
        *_, last, _ = await pipe.execute()
        await one.read_to(last.decode())
        assert one.queue.position.pos == 3 + 4
        one.check()
        await eventually(lambda: any(event.event == "gap" for event in one.told), what="what is missing told")
        (gap,) = [event for event in one.told if event.event == "gap"]
        assert (gap.lost, gap.gap_from, gap.gap_to) == (2, passed, last.decode())
        assert one.queue.position.pos == 9
        assert not one.queue.following.is_on


async def test_stream_begun_anew_is_known_at_once(app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with followed(redis_url, app, monkeypatch) as one:
        await app.delete("bull:mail:events")
        ids = await add_events(app, "mail", 7)
        await one.read_to(ids[-1])
        await eventually(lambda: one.queue.position.pos == 7, what="all of it read")
        assert len([event for event in one.told if event.event == "stream-reset"]) == 1
        assert {event.epoch for event in one.told[-7:]} == {2}


async def test_another_process_is_asked_for_its_counts_first(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failover by a clock that is behind, the id of the last entry passed may be that of another."""
    async with followed(redis_url, app, monkeypatch) as one:
        whole = await calls(app, "xinfo|stream")
        one.door.primary = "new"
        for _ in range(2):
            await one.read_to((await add_events(app, "mail", 2))[-1])
        assert await calls(app, "xinfo|stream") == whole + 1
