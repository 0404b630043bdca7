"""One lane on a real Redis, with a writer that the test plays."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bridge.errors import SourceUnavailable, TooSlow
from bridge.outbox import Outbox
from bridge.record import Record
from bridge.sources.bullmq.discovery import Missed
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.door.slots import units_of
from bridge.sources.bullmq.lane import Lane
from bridge.sources.bullmq.stream import Gap, Position
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.turns import Turns
from bridge.sources.bullmq.watched import Queue
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.lanes import Kafka, lane_on, new_metrics, read_in
from tocsin.events import JobEvent, decode


class FullOutbox(Outbox[list[Record]]):
    """It has no room until the test says so."""

    def __init__(self) -> None:
        super().__init__(lambda record: record, list[Record])
        self.asked = asyncio.Event()
        self.emptied = asyncio.Event()

    async def room(self) -> None:
        self.asked.set()
        await self.emptied.wait()
        await super().room()


class NotingDoor(Door):
    """It notes how many entries were read backwards, and each command with the first thing it names."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.read_back = 0
        self.asked: list[Command] = []

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        replies = await super().ask(commands, timeout=timeout, as_text=as_text)
        self.asked += [command[:2] for command in commands]
        for command, reply in zip(commands, replies, strict=True):
            self.read_back += len(reply) if command[0] in ("XREVRANGE", "XRANGE") else 0
        return replies


class SlowDoor(Door):
    """The app has its turn between any two commands that are no transaction, as it may in a long pipeline."""

    def __init__(self, url: str, turn: Callable[[Sequence[Command]], Awaitable[None]]) -> None:
        super().__init__(url)
        self._turn = turn

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        replies: list[Reply] = []
        for unit in units_of(commands):
            mine = commands[unit.start : unit.stop]
            replies += await super().ask(mine, timeout=timeout, as_text=as_text)
            await self._turn(mine)
        return replies


class OldDoor(Door):
    """A Redis before 7, as far as XINFO goes: it does not count what was ever added."""

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        replies = await super().ask(commands, timeout=timeout, as_text=as_text)
        for command, reply in zip(commands, replies, strict=True):
            if command[0] == "EXEC":
                at = reply[0].index("entries-added" if as_text else b"entries-added")
                del reply[0][at : at + 2]
        return replies


async def test_queue_counts_as_met_only_once_its_cursor_is_on_its_way(app: Any, redis_url: str) -> None:
    """Else a scan told meanwhile, and a kill, would make it one created after that scan."""
    await make_queue(app, "mail")
    await add_events(app, "mail", 3)
    door, outbox, end = Door(redis_url), FullOutbox(), asyncio.Event()
    metrics = new_metrics()
    lane = lane_on(door, outbox, metrics)
    read_in(lane, door, metrics, "mail")
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await outbox.asked.wait()
        assert not lane.has_met_all
        outbox.emptied.set()
        await eventually(lambda: lane.has_met_all, what="the queue met")
        assert b"main:main:mail" in [record.key for record in outbox.take()[0]]
        end.set()
    await door.close()


async def test_restart_reads_back_no_further_than_the_unfinished_jobs_began(app: Any, redis_url: str) -> None:
    """Of a full stream: how long a restart takes must not grow with it. What was known of the job is known again."""
    await make_queue(app, "mail")
    await add_events(app, "mail", 9_000)
    for fields in ({"event": "added", "name": "send"}, {"event": "waiting"}, {"event": "active"}):
        last_id = (await app.xadd("bull:mail:events", {**fields, "jobId": "x"})).decode()
    await app.xadd("bull:mail:events", {"event": "completed", "jobId": "x", "returnvalue": "1"})
    door, outbox, end = NotingDoor(redis_url), Outbox(lambda record: record, list[Record]), asyncio.Event()
    metrics = new_metrics()
    lane = lane_on(door, outbox, metrics)
    read_in(lane, door, metrics, "mail", Position(last_id, 9_003))
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await outbox.wait()
        end.set()
    event = decode(JobEvent, outbox.take()[0][0].value or b"")

    assert (event.event, event.job_name, event.attempt, event.run_ms is not None) == ("completed", "send", 1, True)
    assert 0 < door.read_back <= 1000
    await door.close()


async def test_job_that_began_too_long_ago_is_told_by_its_hash(app: Any, redis_url: str) -> None:
    await make_queue(app, "mail")
    ids = await add_events(app, "mail", 9_000)
    ended = int(ids[-1].partition("-")[0])
    job = {"name": "send", "timestamp": 5, "opts": '{"attempts":3}', "ats": 2, "atm": 2, "finishedOn": ended}
    await app.hset("bull:mail:x", mapping=job)
    await app.xadd("bull:mail:events", {"event": "failed", "jobId": "x", "failedReason": "no"})
    door, outbox, end = NotingDoor(redis_url), Outbox(lambda record: record, list[Record]), asyncio.Event()
    metrics = new_metrics()
    lane = lane_on(door, outbox, metrics)
    read_in(lane, door, metrics, "mail", Position(ids[-1], 9_000))
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await outbox.wait()
        end.set()
    event = decode(JobEvent, outbox.take()[0][0].value or b"")

    assert (event.event, event.job_name, event.attempt, event.enriched) == ("failed", "send", 2, True)
    assert door.read_back <= 5_000
    await door.close()


async def test_job_seen_from_its_beginning_to_its_end_is_asked_for_its_hash_and_its_log_alone(
    app: Any, redis_url: str
) -> None:
    await make_queue(app, "mail")
    job = {"name": "send", "timestamp": 5, "ats": 1, "atm": 1, "finishedOn": 9, "returnvalue": "1"}
    await app.hset("bull:mail:x", mapping=job)
    for fields in (
        *({"event": "added", "name": "send"}, {"event": "waiting"}, {"event": "active", "prev": "waiting"}),
        {"event": "completed", "returnvalue": "1", "prev": "active"},
    ):
        await app.xadd("bull:mail:events", {**fields, "jobId": "x"})
    kafka, door, end, metrics = Kafka(), NotingDoor(redis_url), asyncio.Event(), new_metrics()
    lane = lane_on(door, kafka.outbox, metrics)
    read_in(lane, door, metrics, "mail")
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: len(kafka.events) == 4, what="its events")
        end.set()
    await door.close()

    assert [(event.event, event.attempt, event.enriched) for event in kafka.events][-2:] == [
        ("active", 1, True),
        ("completed", 1, True),
    ]
    its_keys = ("bull:mail:x", "bull:mail:x:lock", "bull:mail:x:logs")
    assert [command for command in door.asked if command[1:2] and command[1] in its_keys] == [
        ("HMGET", "bull:mail:x"),
        ("LRANGE", "bull:mail:x:logs"),
    ]


async def test_redis_that_does_not_count_entries_is_told_of(app: Any, redis_url: str) -> None:
    await make_queue(app, "mail")
    await add_events(app, "mail", 3)
    door, outbox, end, told = (
        OldDoor(redis_url),
        Outbox(lambda record: record, list[Record]),
        asyncio.Event(),
        asyncio.Event(),
    )
    metrics = new_metrics()
    lane = lane_on(door, outbox, metrics, tell_uncounted=told.set)
    read_in(lane, door, metrics, "mail")
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await told.wait()
        await outbox.wait()
        end.set()
    await door.close()


async def test_run_that_ends_while_its_jobs_hash_is_read_leaves_no_doubt(app: Any, redis_url: str) -> None:
    """It was postponed, failed once, and shows its third run begun: which of the three were attempts?"""
    await make_queue(app, "mail")
    job = {"name": "send", "timestamp": 5, "opts": '{"attempts":2}', "ats": 3, "atm": 1, "failedReason": "no"}
    await app.hset("bull:mail:x", mapping=job | {"stacktrace": '["Error: no\\n    at work (job.js:1:2)"]'})
    await app.set("bull:mail:x:lock", "token")
    for fields in (
        *({"event": "added", "name": "send"}, {"event": "waiting"}, {"event": "active"}),
        *({"event": "delayed", "delay": "9"}, {"event": "waiting", "prev": "delayed"}, {"event": "active"}),
        *({"event": "waiting", "prev": "active"}, {"event": "active"}),
    ):
        await app.xadd("bull:mail:events", {**fields, "jobId": "x"})

    async def complete(asked: Sequence[Command]) -> None:
        if any(command[:2] == ("HMGET", "bull:mail:x") for command in asked) and await app.delete("bull:mail:x:lock"):
            await app.hset("bull:mail:x", mapping={"atm": 2, "finishedOn": 9, "returnvalue": "1"})
            await app.xadd("bull:mail:events", {"event": "completed", "jobId": "x", "returnvalue": "1"})

    kafka, door, end, metrics = Kafka(), SlowDoor(redis_url, complete), asyncio.Event(), new_metrics()
    lane = lane_on(door, kafka.outbox, metrics)
    read_in(lane, door, metrics, "mail")
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: any(event.event == "completed" for event in kafka.events), what="its end")
        end.set()
    await door.close()

    told = [(event.event, str(event.state), event.attempt, event.error, event.enriched) for event in kafka.events]
    assert told[3:] == [
        ("delayed", "delayed", 1, "", True),
        ("waiting", "waiting", 0, "", True),
        ("active", "active", 1, "", True),
        ("waiting", "retrying", 1, "no", True),
        ("active", "active", 2, "", True),
        ("completed", "completed", 2, "", True),
    ]


async def lanes_by_turns(app: Any, door: Door, *queues: str) -> dict[str, Lane]:
    """A lane for each queue, of which one may read at a time; each queue has three events."""
    metrics, turns = new_metrics(), Turns(1)
    lanes = {
        queue: lane_on(door, Outbox(lambda record: record, list[Record]), metrics, turns=turns) for queue in queues
    }
    for queue, lane in lanes.items():
        await make_queue(app, queue)
        await add_events(app, queue, 3)
        read_in(lane, door, metrics, queue)
    return lanes


async def test_a_queue_that_is_being_mended_keeps_no_other_lane_from_its_turn(app: Any, redis_url: str) -> None:
    """Who mends it may wait for a Kafka that hangs, for this partition alone."""
    door, end = Door(redis_url), asyncio.Event()
    lanes = await lanes_by_turns(app, door, "mended", "other")
    (mended,) = lanes["mended"]._queues.values()  # pyright: ignore[reportPrivateUsage]  # what the mender holds
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        async with mended.moving:
            group.create_task(lanes["mended"].run(end))
            await eventually(lambda: bool(mended.moving._waiters), what="its first batch waiting")  # pyright: ignore[reportPrivateUsage]  # only there can it be seen
            group.create_task(lanes["other"].run(end))
            await eventually(lambda: lanes["other"].has_met_all, what="the other queue read")
            assert not lanes["mended"].has_met_all
        await eventually(lambda: lanes["mended"].has_met_all, what="the mended queue handed on")
        end.set()
    await door.close()


class TwoProcesses(Door):
    """Each queue is on a process of its own; that of `silent` says which streams have something, and no more."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked = asyncio.Event()

    def shard(self, key: str) -> str:
        return key

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        if commands[0][0] == "MULTI" and any("bull:silent:events" in command for command in commands):
            self.asked.set()
            await asyncio.Event().wait()
        return await super().ask(commands, timeout=timeout, as_text=as_text)


async def test_process_that_is_silent_keeps_no_lane_of_another_from_its_turn(app: Any, redis_url: str) -> None:
    door, end = TwoProcesses(redis_url), asyncio.Event()
    lanes = await lanes_by_turns(app, door, "silent", "other")
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        waiting = group.create_task(lanes["silent"].run(end))
        await door.asked.wait()
        group.create_task(lanes["other"].run(end))
        await eventually(lambda: lanes["other"].has_met_all, what="the other queue read")
        assert not lanes["silent"].has_met_all
        waiting.cancel()
        end.set()
    await door.close()


class LateDoor(Door):
    """Nothing of a pipeline arrives in time that reads the stream of `huge`."""

    asked = 0

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        if any(command[0] == "XREAD" and "bull:huge:events" in command for command in commands):
            self.asked += 1
            raise TooSlow("no answer")
        return await super().ask(commands, timeout=timeout, as_text=as_text)


async def test_entry_too_big_to_arrive_keeps_no_other_queue_waiting(app: Any, redis_url: str) -> None:
    """Its queue is tried with the others, alone, and not again for a while."""
    kafka, door, metrics, end = Kafka(), LateDoor(redis_url), new_metrics(), asyncio.Event()
    lane = lane_on(door, kafka.outbox, metrics)
    for queue in ("huge", "mail"):
        await make_queue(app, queue)
        await add_events(app, queue, 1)
        read_in(lane, door, metrics, queue)
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: len(kafka.of("job-0")) == 1, what="the other queue's event")
        asked = door.asked
        await add_events(app, "mail", 1, first=1)
        await eventually(lambda: bool(kafka.of("job-1")), what="what comes after it")
        end.set()
    assert {event.queue for event in kafka.events} == {"mail"}
    assert door.asked == asked
    await door.close()


class ThinDoor(Door):
    """More than `most` entries of a past never arrive together."""

    most = 20

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        if any(command[0] == "XREVRANGE" and int(command[-1]) > self.most for command in commands):
            raise TooSlow("no answer")
        return await super().ask(commands, timeout=timeout, as_text=as_text)


@pytest.mark.parametrize("most", [1, 30])
async def test_a_past_too_big_to_arrive_stops_no_queue_after_a_restart(app: Any, redis_url: str, most: int) -> None:
    """What its jobs did before is told by their hashes then."""
    kafka, door, metrics, end = Kafka(), ThinDoor(redis_url), new_metrics(), asyncio.Event()
    door.most = most
    lane = lane_on(door, kafka.outbox, metrics)
    for queue in ("big", "mail"):
        await make_queue(app, queue)
        passed = await add_events(app, queue, 3)
        await app.xadd(f"bull:{queue}:events", {"event": "active", "jobId": "job-1", "prev": "waiting"})
        read_in(lane, door, metrics, queue, Position(passed[-1], 3))
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: len(kafka.of("job-1")) == 2, what="what came after the restart")
        end.set()
    assert {event.job_name for event in kafka.of("job-1")} == {"send" if most > 1 else ""}
    await door.close()


class BrokenDoor(Door):
    """Where the test says so one reading fails, and no look tells of the stream for a while: so it is among many.

    breaks: questions that fail: one for all lanes is asked once more.
    """

    breaks = 0
    is_broken = False

    def tracked(self, news: asyncio.Event) -> None:
        """Redis tells nothing."""

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        is_reading = commands[0][0] in ("MULTI", "XREAD") and as_text
        if is_reading and self.breaks:
            self.breaks, self.is_broken = self.breaks - 1, True
            raise SourceUnavailable("the connection broke")
        if commands[0][0] == "XREAD" and not as_text and self.is_broken:
            await asyncio.sleep(0.05)
            return [None]
        return await super().ask(commands, timeout=timeout, as_text=as_text)


async def test_a_queue_whose_reading_failed_does_not_pass_for_read_to_its_end(app: Any, redis_url: str) -> None:
    """Its gaps are mended as far as it was read: an end behind that is told by its event, and not twice."""
    kafka, door, metrics, end = Kafka(), BrokenDoor(redis_url), new_metrics(), asyncio.Event()
    lane = lane_on(door, kafka.outbox, metrics, read_back=kafka.read_back)
    await make_queue(app, "mail")
    lost = int((await app.time())[0]) * 1000 - 8000
    passed, ended = f"{lost + 500}-0", lost + 1500
    await app.xadd("bull:mail:events", {"event": "waiting", "jobId": "other"}, id=passed)
    job = {"name": "send", "timestamp": lost, "opts": "{}", "data": "{}", "atm": 1, "finishedOn": ended - 100}
    read_in(lane, door, metrics, "mail", Position(passed, 1))
    (queue,) = lane._queues.values()  # pyright: ignore[reportPrivateUsage]  # which has lost something, as it finds
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(end))
        await eventually(lambda: lane.has_met_all and not lane._unfinished, what="its end")  # pyright: ignore[reportPrivateUsage]  # nothing to read
        queue.position = replace(queue.position, gaps=(Gap(lost, lost + 500),))
        queue.mend_at, door.breaks = time.monotonic() + 0.5, 2
        await app.hset("bull:mail:job", mapping=job)
        await app.zadd("bull:mail:completed", {"job": ended - 100})
        entry = {"event": "completed", "jobId": "job", "returnvalue": "1", "prev": "active"}
        await app.xadd("bull:mail:events", entry, id=f"{ended}-0")
        await eventually(lambda: any(not event.rebuilt for event in kafka.of("job")), what="the event of its end")
        await eventually(lambda: bool(kafka.events) and not queue.position.gaps, what="the gap mended")
        end.set()
    assert [event.event for event in kafka.of("job") if event.event == "completed"] == ["completed"]
    await door.close()


class MovedDoor(Door):
    """A cluster's, of which one process may take over from another."""

    primary = "old"

    def shard(self, key: str) -> str:
        return self.primary


async def test_lane_follows_its_queue_across_a_failover_and_ends_when_that_is_let_go(app: Any, redis_url: str) -> None:
    """Else each failover would leave a lane behind that takes no queue any more."""
    kafka, door, metrics, went = Kafka(), MovedDoor(redis_url), new_metrics(), list[str]()

    async def let_go(queue: Queue, records: Sequence[Record]) -> None:
        went.append(queue.place.queue)

    lane = lane_on(door, kafka.outbox, metrics, let_go=let_go)
    await make_queue(app, "mail")
    await add_events(app, "mail", 1)
    read_in(lane, door, metrics, "mail")
    assert lane.shard == "old"
    door.primary = "new"
    assert lane.shard == "new"
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(lane.run(asyncio.Event()))
        await eventually(lambda: bool(kafka.of("job-0")), what="its event")
        await app.delete("bull:mail:events", "bull:mail:meta")
        lane.missed(Place("prod", "main", "mail"), "bull", Missed(1, 2))
    assert went == ["mail"]
    assert lane.has_ended
    assert not lane.has_room
    await door.close()
