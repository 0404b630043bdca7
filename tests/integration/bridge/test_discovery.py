"""What a scan of many keys costs and when it tells, and that queues with known names need none."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from bridge.metrics import Metrics
from bridge.settings import Source
from bridge.sources.bullmq import discovery as module
from bridge.sources.bullmq.discovery import Discovery
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.door.pools import pool_of_url
from bridge.sources.bullmq.door.single import Single
from tests.eventually import eventually
from tests.integration.bridge.by_hand import make_queue
from tests.integration.bridge.test_read_only import make_reader

QUEUES = 5_000


class HeldRedis(Single):
    """It answers no further page of a scan until `go_on` is set. is_held: one is waited for. rests: before each."""

    def __init__(self, url: str) -> None:
        super().__init__(pool_of_url(url), asyncio.timeout)
        self.go_on = asyncio.Event()
        self.is_held = False
        self.rests: list[float] = []
        self._answered_at = 0.0

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10.0, as_text: bool = False) -> list[Reply]:
        if commands[0][0] == "SCAN" and commands[0][1] != b"0":
            self.rests.append(time.monotonic() - self._answered_at)
            self.is_held = True
            await self.go_on.wait()
            self.is_held = False
        replies = await super().ask(commands, timeout=timeout, as_text=as_text)
        self._answered_at = time.monotonic()
        return replies


async def test_an_unfinished_scan_tells_what_it_found_and_the_next_ones_keep_to_their_budget(
    redis_url: str, app: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "TELL_SECONDS", 0.0)
    pipe = app.pipeline(transaction=False)
    for number in range(QUEUES):
        pipe.hset(f"bull:queue-{number}:meta", "opts.maxLenEvents", 1)
    await pipe.execute()
    held = HeldRedis(redis_url)
    source, metrics = Source.model_validate({"url": redis_url, "exclude": ["*-2"]}), Metrics(CollectorRegistry())
    discovery = Discovery(source, Door(held), metrics, every_seconds=0.01, partitions=2)
    known = [f"queue-{number}" for number in range(20)]
    discovery.expect([*known, "deleted-since"])
    stop = asyncio.Event()
    running = asyncio.create_task(discovery.run(stop))
    try:
        await eventually(lambda: held.is_held, what="the first page")
        so_far = await discovery.wait_for_change(None, 10)
        assert so_far is not None
        assert so_far.queues >= set(known) - {"queue-2"}, "those that were known are there already"
        assert 20 < len(so_far.queues) == discovery.count < QUEUES - 1, "and some more"
        assert not so_far.queues & {"deleted-since", "queue-2"}
        assert not so_far.is_whole
        assert discovery.found is None, "what is absent may be there"
        assert discovery.is_fresh, "it is ready all the same"
        held.go_on.set()
        await eventually(lambda: discovery.found is not None, what="the first scan at its end")
        first = discovery.found
        assert first is not None
        assert (len(first.queues), first.earlier, first.is_whole) == (QUEUES - 1, None, True)

        held.go_on.clear()
        await eventually(lambda: held.is_held, what="another scan")
        held.rests.clear()
        before = discovery.found
        await make_queue(app, "new")
        discovery.expect(["new"])  # another replica read it
        held.go_on.set()
        met = await discovery.wait_for_change(before, 10)
        assert met is not None
        assert (met.queues - first.queues, met.is_whole) == ({"new"}, True)
        await eventually(lambda: len(held.rests) > 1, what="further pages")
        assert min(held.rests) >= 0.09, "one of two shares: 10,000 keys/s"
    finally:
        running.cancel()
        await held.close()


async def test_queues_that_the_settings_name_are_asked_for_one_by_one(redis_url: str, app: Any) -> None:
    for queue in ("mail", "secret", "other", "left-out"):
        await make_queue(app, queue)
    reader = await make_reader(app, redis_url, "%R~bull:*", "+scan")
    await app.execute_command("ACL", "SETUSER", "bridge", "%R~bull:mail:*", "%R~bull:none:*")
    listed = {"include": ["mail", "secret", "none", "left-out"], "exclude": ["left-*"]}
    door = Door(reader)
    source = Source.model_validate({"url": reader, **listed})
    discovery = Discovery(source, door, Metrics(CollectorRegistry()), every_seconds=1)
    found = await discovery.scan()
    assert found.queues == {"mail", "secret"}, "of a refused one reading it tells more"
    assert "cmdstat_scan" not in await app.info("commandstats")
    await door.close()
