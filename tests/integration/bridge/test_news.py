"""A stream is read, and a log, because Redis tells that it changed; where it does not, all is looked at as before."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq import entryreader
from bridge.sources.bullmq.door import Reply, Tracked, tracker
from bridge.sources.bullmq.logs import follower
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.test_following import Followed, calls, followed
from tests.integration.bridge.test_tracked import kill_tracking
from tests.lanes import new_metrics, read_in
from tocsin.lifecycle import pause


async def add(one: Followed, app: Any, count: int = 1) -> None:
    """Add some events; they are to be read."""
    await one.read_to((await add_events(app, "mail", count))[-1])


async def told_of(one: Followed) -> None:
    """Wait until Redis will tell of the next change."""
    await eventually(lambda: one.tracked.knows("bull:mail:events"), what="Redis tells")


STORM = "for n = 1, 200 do redis.call('XADD', KEYS[1], '*', 'event', 'progress', 'jobId', n, 'data', n) end"


async def storm_until(over: asyncio.Event, app: Any) -> None:
    """Events, again and again, made by Redis itself: the lane shares this process.

    To be ended by the event: redis-py may forget that whoever writes is cancelled.
    """
    while not over.is_set():
        await app.eval(STORM, 1, "bull:mail:events")
        await pause(over, 0.01)


async def test_while_nothing_happens_no_stream_is_named(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "AFRESH_SECONDS", 1000.0)
    monkeypatch.setattr(entryreader, "AT_ONCE_SECONDS", 1000.0)
    async with followed(redis_url, app, monkeypatch) as one:
        await add(one, app)
        await told_of(one)
        before = await calls(app, "xread")
        pinged = await calls(app, "ping")

        async def is_quiet_for_long() -> bool:
            return await calls(app, "ping") >= pinged + 2

        await eventually(is_quiet_for_long, what="nothing said for some seconds")
        assert await calls(app, "xread") == before
        await add(one, app)
        assert await calls(app, "xread") == before + 1


async def test_each_event_is_read_though_whoever_tells_is_killed_again_and_again(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(redis_url, app, monkeypatch) as one:
        for _ in range(5):
            await told_of(one)
            await kill_tracking(app)
            await add(one, app, 3)
        assert [event.job_id for event in one.told if event.event == "added"] == [
            *(f"job-{number}" for number in range(3)),
            *(f"job-{number}" for _ in range(5) for number in range(3)),
        ]


async def test_what_redis_told_of_is_read_though_the_reading_fails(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells once."""
    async with followed(redis_url, app, monkeypatch) as one:
        await told_of(one)
        failed: list[str] = []

        async def fail(*_: Any, **__: Any) -> list[Reply]:
            failed.append("once")
            if len(failed) > 2:
                monkeypatch.undo()
            raise SourceUnavailable("the connection broke")

        monkeypatch.setattr(one.door, "ask_together", fail)
        monkeypatch.setattr(Tracked, "ask", fail)
        await add(one, app)
        assert len(failed) > 2


async def test_redis_that_does_not_tell_is_found_out_and_looked_at(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def begin(connection: Any) -> None:
        await connection.connect()  # and nothing is tracked

    monkeypatch.setattr(tracker, "_begin", begin)
    async with followed(redis_url, app, monkeypatch) as one:
        await told_of(one)
        last_id = (await add_events(app, "mail", 1))[-1]
        one.check()
        await one.read_to(last_id)
        await eventually(lambda: "tracking_refused" in capsys.readouterr().out, what="it is said")
        await add(one, app)


async def test_redis_that_remembers_few_keys_is_looked_at(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says of those it forgets that they have changed."""
    monkeypatch.setattr(tracker, "MOST_IDLE", 20)
    await app.config_set("tracking-table-max-keys", 2)
    async with followed(redis_url, app, monkeypatch) as one:
        for queue in ("a", "b", "c", "d"):
            await make_queue(app, queue)
            await add_events(app, queue, 1)
            read_in(one.lane, one.door, new_metrics(), queue)
        await eventually(lambda: "tracking-table-max-keys" in capsys.readouterr().out, what="it is said")
        assert not one.tracked.is_on
        await add(one, app, 2)
        await app.config_set("tracking-table-max-keys", 1000)
        now = time.monotonic()
        monkeypatch.setattr(tracker, "time", SimpleNamespace(monotonic=lambda: now + tracker.REFUSED_SECONDS + 60))
        await told_of(one)
        await add(one, app, 2)


@pytest.mark.parametrize("is_busy", [False, True])
async def test_each_line_of_a_log_is_told_because_redis_tells_of_it(
    app: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch, is_busy: bool
) -> None:
    """No look is due before the test ends. is_busy: the same lane has more to read all the time."""
    monkeypatch.setattr(tracker, "AFRESH_SECONDS", 1000.0)
    async with followed(redis_url, app, monkeypatch) as one:
        await app.hset("bull:mail:7", mapping={"name": "talk", "timestamp": 5, "opts": "{}"})
        for event in ("added", "active"):
            entry_id = await app.xadd("bull:mail:events", {"event": event, "jobId": "7", "name": "talk"})
        await one.read_to(entry_id.decode())
        await eventually(lambda: one.follower.seconds_left > 0, what="a look")
        monkeypatch.setattr(follower, "FOLLOW_SECONDS", 1000.0)
        monkeypatch.setattr(follower, "RESTS", 0)  # the look that is due, which ends a rest, never comes
        await eventually(lambda: one.follower.seconds_left > 500, what="the last look that is due by the clock")
        over = asyncio.Event()
        storm = asyncio.create_task(storm_until(over, app)) if is_busy else None
        for number in range(5):
            await app.rpush("bull:mail:7:logs", f"line {number}")
            await eventually(lambda: len(one.lines) == number + 1, what=f"line {number}")  # noqa: B023  # awaited here
        assert [line.message for line in one.lines] == [f"line {number}" for number in range(5)]
        if storm is not None:
            over.set()
            await storm
