"""A deleted queue is told to be gone after two complete scans, never before; one made anew is never taken for it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.errors import SourceUnavailable
from bridge.metrics import Metrics
from bridge.settings import Source
from bridge.sources.bullmq import discovery as module
from bridge.sources.bullmq.discovery import Discovery
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.door.pools import pool_of_url
from bridge.sources.bullmq.door.single import Single
from bridge.sources.bullmq.reconcile.open_jobs import STORED_JOBS
from tests.clients import redis
from tests.conftest import StartValkey
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import make_reader
from tests.kafka_reader import Records
from tocsin.events import Cursor, JobEvent, decode


async def until_told(bridge: Bridge, queue: str, event: str, times: int = 1) -> list[JobEvent]:
    """Wait until the queue has so many records of this event; return all its records."""

    async def is_told() -> bool:
        return sum(one.event == event for one in (await bridge.records()).of_queue(queue)) >= times

    await eventually(is_told, what=f"{times} `{event}` of {queue}")
    return (await bridge.records()).of_queue(queue)


def last_counts(records: Records, queue: str) -> bytes | None:
    """The newest value of the queue's key in the topic of counts; None = a tombstone."""
    found = [
        value for topic, key, value in records.raw if topic.endswith("queues") and key.endswith(f":{queue}".encode())
    ]
    return found[-1] or None


async def delete(app: Any, queue: str) -> None:
    """As obliterate does."""
    await app.delete(*[key async for key in app.scan_iter(f"bull:{queue}:*", count=1000)])


async def test_deleted_queue_is_told_once_and_forgotten(bridge: Bridge, app: Any) -> None:
    await make_queue(app, "mail")
    await make_queue(app, "other")
    await add_events(app, "mail", 2)
    await app.xadd("bull:mail:events", {"event": "active", "jobId": "job-0", "prev": "waiting"})
    await app.hset("bull:mail:job-0", mapping={"name": "send", "opts": "{}", "timestamp": 1000, "ats": 1})
    await app.rpush("bull:mail:job-0:logs", "hello")
    await add_events(app, "mail", STORED_JOBS, first=2)  # more open jobs than one cursor holds
    await bridge.start()
    await until_told(bridge, "mail", "active")

    async def is_complete() -> bool:
        records = await bridge.records()
        return bool(records.logs) and records.newest("mail") is not None

    await eventually(is_complete, what="its log line and its counts")
    await bridge.stop()
    assert (await bridge.records()).cursors["main:main:mail::1"] is not None
    await bridge.start()
    await delete(app, "mail")
    events = await until_told(bridge, "mail", "gone")

    gone = events[-1]
    assert (gone.event, gone.state, gone.job_id, gone.level) == ("gone", "unknown", "", "info")
    assert gone.message.startswith("its meta key was absent from two complete scans, at 2")
    assert gone.id.startswith(f"main:mail:{gone.epoch}:gone:")
    records = await bridge.records()
    assert last_counts(records, "mail") is None
    assert last_counts(records, "other") is not None
    assert records.cursors["main:main:mail:job-0"] is None, "how far its logs were read is of no use any more"
    assert records.cursors["main:main:mail"] is None, "nor is how far its events were"
    assert records.cursors["main:main:mail:"] is None, "nor which jobs were open"
    assert records.cursors["main:main:mail::1"] is None, "all of them"
    await bridge.has_forgotten("bridge_queue_jobs", queue="mail")
    await bridge.has_forgotten("bridge_relay_lag_seconds", queue="mail")
    assert await bridge.samples("bridge_queue_jobs", queue="other")

    await bridge.stop()
    await bridge.start()
    await bridge.ready()
    await add_events(app, "other", 1)
    await until_told(bridge, "other", "added")
    assert sum(event.event == "gone" for event in (await bridge.records()).jobs) == 1


@pytest.mark.parametrize("how", ["running", "killed"])
async def test_queue_made_again_is_told_under_identities_of_its_own(bridge: Bridge, app: Any, how: str) -> None:
    """Also when Redis' clock has gone back, so that the new stream's ids are the old one's."""
    await make_queue(app, "mail")
    await app.xadd("bull:mail:events", {"event": "added", "jobId": "1", "name": "send"}, id="5-1")
    await bridge.start()
    await until_told(bridge, "mail", "added")
    await delete(app, "mail")
    await until_told(bridge, "mail", "gone")
    if how == "killed":
        await bridge.kill()
        await bridge.start()
        await bridge.ready()
    pipe = app.pipeline(transaction=True)
    pipe.hset("bull:mail:meta", "opts.maxLenEvents", 10_000)
    pipe.xadd("bull:mail:events", {"event": "added", "jobId": "1", "name": "send"}, id="5-1")
    pipe.xadd("bull:mail:events", {"event": "added", "jobId": "2", "name": "send"})
    await pipe.execute()

    events = await until_told(bridge, "mail", "added", 3)
    assert len({event.id for event in events}) == len(events)
    again = [event for event in events if event.event == "added"][1:]
    assert {event.epoch for event in again} == {events[-3].epoch + 1}
    assert [event.backfill for event in again] == [True, False]
    assert [event.event for event in events[-3:]] == ["gone", "added", "added"]
    assert events[-1].job_id == "2"

    async def is_counted() -> bool:
        return last_counts(await bridge.records(), "mail") is not None

    await eventually(is_counted, what="its counts again")


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_queue_deleted_while_no_bridge_ran_is_read_to_its_end_and_told(
    bridge: Bridge, app: Any, how: str
) -> None:
    await make_queue(app, "mail")
    await make_queue(app, "other")
    await add_events(app, "mail", 3)
    bridge.environ["KAFKA_PARTITIONS"] = "1"  # each partition stores the scan of its own
    await bridge.start()
    await until_told(bridge, "mail", "added", 3)

    async def is_stored() -> bool:
        return "main:main:" in (await bridge.records()).cursors

    await eventually(is_stored, what="the scan in Kafka")
    await (bridge.stop if how == "stopped" else bridge.kill)()
    await add_events(app, "mail", 1500, first=3)
    await app.delete("bull:mail:meta")
    before = len((await bridge.records()).queues)
    await bridge.start()

    events = await until_told(bridge, "mail", "gone")
    assert [event.job_id for event in events] == [f"job-{number}" for number in range(1503)] + [""]
    assert not any(one.queue == "mail" for one in (await bridge.records()).queues[before:])
    assert last_counts(await bridge.records(), "mail") is None

    # Its stream is there still: that is no other queue's when the meta key is back.
    assert decode(Cursor, (await bridge.records()).cursors["main:main:mail"] or b"").is_gone
    await (bridge.stop if how == "stopped" else bridge.kill)()
    await make_queue(app, "mail")
    await add_events(app, "mail", 1, first=1503)
    await bridge.start()
    events = await until_told(bridge, "mail", "added", 1504)
    assert [(event.job_id, event.epoch) for event in events[-2:]] == [("", 1), ("job-1503", 1)]
    assert len(events) == 1505, "nothing is told again"


async def test_queue_that_is_only_watched_no_longer_is_not_gone(bridge: Bridge, app: Any, tmp_path: Path) -> None:
    for queue in ("mail", "other"):
        await make_queue(app, queue)
        await add_events(app, queue, 1)
    await bridge.start()
    for queue in ("mail", "other"):
        await until_told(bridge, queue, "added")
    await bridge.stop()
    sources = tmp_path / "sources.toml"
    sources.write_text(f'[[source]]\nname = "main"\nurl = "{bridge.environ.pop("REDIS_URL")}"\nexclude = ["mail"]\n')
    bridge.environ["TOCSIN_SOURCES_FILE"] = str(sources)
    for passing in ("once", "twice"):  # the second start finds a scan under its own settings
        await bridge.start()
        await bridge.ready()
        await make_queue(app, passing)
        await add_events(app, passing, 1)
        await until_told(bridge, passing, "added")
        await delete(app, passing)
        await until_told(bridge, passing, "gone")
        await bridge.stop()
    assert [event.event for event in (await bridge.records()).of_queue("mail")] == ["added"]
    assert all(value for _, key, value in (await bridge.records()).raw if key == b"main:mail"), "no tombstone"


async def test_scan_that_is_refused_makes_no_queue_gone(bridge: Bridge, app: Any, redis_url: str) -> None:
    bridge.environ |= {"REDIS_URL": await make_reader(app, redis_url), "KAFKA_PARTITIONS": "1"}
    for queue in ("mail", "other"):
        await make_queue(app, queue)
        await add_events(app, queue, 1)
    await bridge.start()
    for queue in ("mail", "other"):
        await until_told(bridge, queue, "added")

    async def is_stored() -> bool:
        return "main:main:" in (await bridge.records()).cursors

    await eventually(is_stored, what="the scan in Kafka")
    await app.execute_command("ACL", "SETUSER", "bridge", "-scan")
    await app.delete("bull:mail:meta")

    async def is_refused() -> bool:
        return await bridge.metric("bridge_source_errors_total") >= 8

    await eventually(is_refused, what="eight scans refused")
    assert [event.event for event in (await bridge.records()).of_queue("mail")] == ["added"]

    await bridge.stop()
    await bridge.start()
    await add_events(app, "other", 1, first=1)
    await until_told(bridge, "other", "added", 2)  # what is known needs no scan after a restart

    async def is_counted() -> bool:
        return bool(await bridge.samples("bridge_queue_jobs", queue="other"))

    await eventually(is_counted, what="its counts")
    assert await bridge.missing() == ["redis:main"]
    await app.execute_command("ACL", "SETUSER", "bridge", "+scan")
    await until_told(bridge, "mail", "gone")


class DyingRedis(Single):
    """It dies after the second step of a scan."""

    def __init__(self, url: str, server: Any) -> None:
        super().__init__(pool_of_url(url), asyncio.timeout)
        self._server = server
        self.steps = 0

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        replies = await super().ask(commands, timeout=timeout, as_text=as_text)
        self.steps += commands[0][0] == "SCAN"
        if self.steps == 2 and self._server is not None:
            self._server.child.process.kill()
            await asyncio.to_thread(self._server.child.process.wait, 10)
        return replies


async def test_scan_that_ends_half_way_says_nothing(
    start_redis: StartValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SECONDS", 0.0)
    server = await start_redis(tmp_path / "valkey")
    url = server.settings["REDIS_URL"]
    app: Any = redis.from_url(url)
    pipe = app.pipeline(transaction=False)
    for number in range(5_000):
        pipe.hset(f"bull:queue-{number}:meta", "opts.maxLenEvents", 1)
    await pipe.execute()
    await app.aclose()
    dying = DyingRedis(url, server)
    door = Door(dying)
    source = Source.model_validate({"url": url})
    discovery = Discovery(source, door, Metrics(CollectorRegistry()), every_seconds=1)
    with pytest.raises(SourceUnavailable):
        await discovery.scan()
    assert dying.steps == 2
    assert discovery.found is None
    await door.close()
