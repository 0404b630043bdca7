"""Counts as BullMQ itself counts, on both versions; and a Redis that goes away and comes back."""

import base64
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.door.pools import database
from bridge.sources.bullmq.snapshots.workers import Workers
from bridge.topology import Topology
from tests.bullmq.driver import make_states
from tests.clients import redis
from tests.conftest import StartValkey
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge, bridge_on


async def test_snapshots_equal_bullmqs_own_counts(bridge: Bridge, redis_url: str) -> None:
    began = time.monotonic()
    made = await make_states(redis_url)
    await bridge.start()

    async def are_there() -> bool:
        return {snapshot.queue for snapshot in (await bridge.records()).queues} >= {shown.queue for shown in made}

    await eventually(are_there, what="a snapshot of each queue")
    records = await bridge.records()
    for shown in made:
        told = records.newest(shown.queue)
        assert told is not None
        counts = {
            "waiting": shown.waiting,
            **{state: count for state, count in shown.counts.items() if state not in ("waiting", "paused")},
        }
        assert min(counts.values()) > 0
        assert counts == {
            "waiting": told.waiting,
            "active": told.active,
            "delayed": told.delayed,
            "prioritized": told.prioritized,
            "waiting-children": told.waiting_children,
            "completed": told.completed,
            "failed": told.failed,
        }
        assert (told.is_paused, told.workers, told.sources_queues) == (shown.is_paused, 0, 4)
        assert told.bullmq_version == f"bullmq:{shown.version}"
        assert told.max_len_events == 1_000_000
        assert told.oldest_waiting_seconds is not None
        assert 0 <= told.oldest_waiting_seconds <= time.monotonic() - began + 1
        measured = await bridge.samples("bridge_queue_jobs", queue=shown.queue)
        assert {state.replace("_", "-"): count for (_, _, state), count in measured.items()} == counts


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_redis_that_goes_and_comes_back_costs_nothing(
    kafka_bootstrap: str, topic_prefix: str, start_redis: StartValkey, tmp_path: Path, how: str
) -> None:
    server = await start_redis(tmp_path / "valkey")
    url = server.settings["REDIS_URL"]
    app: Any = redis.from_url(url)
    await make_queue(app, "mail")
    await add_events(app, "mail", 10)
    async with bridge_on(kafka_bootstrap, topic_prefix, url, tmp_path / "bridge.log") as bridge:
        await bridge.start()

        async def are_told(count: int) -> bool:
            return len((await bridge.records()).of_queue("mail")) >= count

        await eventually(lambda: are_told(10), what="ten events")
        await app.execute_command("WAITAOF", 1, 0, 5000)
        if how == "killed":
            server.child.process.kill()
        await server.child.stop()

        async def is_noticed() -> bool:
            return await bridge.metric("bridge_source_errors_total", source="main") > 0

        await eventually(is_noticed, what="the loss of Redis")
        await start_redis(tmp_path / "valkey")
        await app.connection_pool.disconnect()
        await add_events(app, "mail", 10, first=10)
        await eventually(lambda: are_told(20), what="ten events more")
        events = (await bridge.records()).of_queue("mail")
        assert [event.job_id for event in events] == [f"job-{number}" for number in range(20)]
        assert {event.epoch for event in events} == {1}
        await bridge.ready()
    await app.aclose()


async def test_workers_in_another_database_are_not_counted(redis_url: str) -> None:
    """Theirs are connections to the same Redis, by the same names."""
    name, server = f"bull:{base64.b64encode(b'mail').decode()}", redis_url.removesuffix("/0")
    clients: list[Any] = [redis.from_url(f"{server}/{number}", client_name=name) for number in (2, 3, 3)]
    for client in clients:
        await client.ping()
    door = Door(f"{server}/3")
    workers = Workers("bull", database(Topology.model_validate({"url": f"{server}/3"})))
    await workers.read(door)
    assert workers.of("mail") == 2
    await door.close()
    for client in clients:
        await client.aclose()
