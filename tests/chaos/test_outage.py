"""ClickHouse away for minutes while records keep coming: Kafka holds them, memory stays bounded, all is caught up."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.integration.logsvc.fronted import Server, agrees_with_kafka, house_on, is_live, lanes, mixed, server_in
from tests.integration.logsvc.house import House
from tocsin.events import QueueSnapshot

OUTAGE_SECONDS = 200
A_SECOND = 400
MIB = 1024 * 1024


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Server]:
    async with server_in(tmp_path) as one:
        yield one


@pytest.fixture
async def home(server: Server, tmp_path: Path, kafka_bootstrap: str, topic_prefix: str) -> AsyncGenerator[House]:
    """A logsvc on that ClickHouse, not started yet, that keeps at most 16 MiB of what is not stored."""
    async with house_on(server, tmp_path / "logsvc", kafka_bootstrap, topic_prefix) as one:
        one.environ |= {"BREAKER_RESET_SECONDS": "5", "LOGSVC_RING_MIB": "1", "LOGSVC_BATCH_ROWS": "5000"}
        yield one


async def produce_until(home: House, enough: asyncio.Event) -> int:
    """Write A_SECOND events of 1.5 kB and more each second; return how many."""
    producer = await home.producer("load")
    number, begun = 0, time.monotonic()
    while not enough.is_set():
        await producer.begin_transaction()
        events = mixed(home, range(number, number + A_SECOND), data="x" * 1500)
        await asyncio.gather(*[await home.send(producer, event) for event in events])
        await producer.commit_transaction()
        number += A_SECOND
        await asyncio.sleep(max(0.0, begun + number / A_SECOND - time.monotonic()))  # the load's own pace
    return number


async def buffered_bytes(home: House) -> int:
    return sum(int(str(lane["buffered_bytes"])) for lane in await lanes(home))


@pytest.mark.chaos
@pytest.mark.timeout(1200)
async def test_minutes_without_clickhouse_under_load_are_caught_up_to_the_record_in_bounded_memory(
    home: House, server: Server
) -> None:
    await home.start()
    await home.ready()
    snapshot = QueueSnapshot(v=1, ts=1_795_000_000_000, env="prod", source="main", queue="orders", waiting=7)
    await home.produce([snapshot])
    enough = asyncio.Event()
    load = asyncio.create_task(produce_until(home, enough))

    async def stores() -> bool:
        return (await home.json("/api/v1/jobs"))["items"] != []

    await eventually(stores, what="some of the load stored")
    await server.kill()
    away_since = time.monotonic()

    async def is_full() -> bool:
        """The partitions of one topic fill, each to its share, and are paused."""
        return await buffered_bytes(home) > 2 * MIB and (await home.get("/api/v1/jobs")).status_code == 503

    await eventually(is_full, seconds=120, what="the buffers full")
    resident = [home.resident_bytes()]
    buffered: list[int] = []
    while time.monotonic() - away_since < OUTAGE_SECONDS:
        history = await home.get("/api/v1/jobs")
        assert (history.status_code, int(history.headers["retry-after"]) > 0) == (503, True)
        assert [one["waiting"] for one in (await home.json("/api/v1/queues"))["items"]] == [7]
        assert (await home.get("/health/ready")).status_code == 200
        buffered.append(await buffered_bytes(home))
        resident.append(home.resident_bytes())
        await asyncio.sleep(2)  # between two samples
    assert await is_live(home, home.event(9_999_999, queue="q0", ts=1_795_500_000_000))
    enough.set()
    produced = await load
    assert produced > OUTAGE_SECONDS * A_SECOND / 2, "the load did not keep up: nothing is shown"
    assert max(buffered) < 16 * MIB
    grown = max(resident) - resident[0]
    assert grown < 40 * MIB, [one // MIB for one in resident]

    away, back_at = time.monotonic() - away_since, time.monotonic()
    await server.start()
    await eventually(home.all_stored, seconds=300, what="caught up")
    caught_up = time.monotonic() - back_at
    assert await agrees_with_kafka(server, home) == produced + 1
    assert (await home.get("/api/v1/jobs")).status_code == 200
    print(
        f"away {away:.0f} s, {produced} events of {produced * 1800 // MIB} MiB came in, at most"
        f" {max(buffered) / MIB:.1f} MiB buffered, memory grew by {grown / MIB:.1f} MiB from {resident[0] / MIB:.0f},"
        f" caught up in {caught_up:.0f} s"
    )
