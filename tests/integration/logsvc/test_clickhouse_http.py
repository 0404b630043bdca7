"""Promise 3 over ClickHouse's HTTP interface: what Kafka holds is stored, whatever dies, hangs or is full."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.certificate import make_certificate
from tests.eventually import READY_SECONDS, eventually
from tests.integration.logsvc.fronted import Server, agrees_with_kafka, house_on, is_live, lanes, mixed, server_in
from tests.integration.logsvc.house import LANES, House
from tests.ports import free_port
from tests.servers.clickhouse_front import Fault
from tests.tcp import tls_before
from tocsin.events import QueueSnapshot, encode
from tocsin.topics import partition_of

PARTITIONS = 4


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Server]:
    async with server_in(tmp_path) as one:
        yield one


@pytest.fixture
async def home(server: Server, tmp_path: Path, kafka_bootstrap: str, topic_prefix: str) -> AsyncGenerator[House]:
    """A logsvc on that ClickHouse, not started yet."""
    async with house_on(server, tmp_path / "logsvc", kafka_bootstrap, topic_prefix) as one:
        yield one


@pytest.fixture
async def other(home: House, tmp_path: Path) -> AsyncGenerator[House]:
    """A second replica, not started yet."""
    data = tmp_path / "other"
    data.mkdir()
    port = free_port()
    one = House(data, {**home.environ, "LOGSVC_PORT": str(port)}, port)
    yield one
    if one.process is not None:
        await one.kill()


async def test_kills_and_lost_answers_leave_what_kafka_holds_and_a_refused_row_alone_is_buried(
    home: House, server: Server, tmp_path: Path
) -> None:
    await home.produce(mixed(home, range(2000)))
    for nth, when in ((3, "before"), (6, "after")):
        marker = tmp_path / f"died-{nth}"
        options = ["--at", "logsvc.store:Store.insert", "--when", when, "--nth", str(nth), "--marker", str(marker)]
        dying = await home.start("-m", "tests.dying", "logsvc", *options)
        await eventually(lambda dying=dying: dying.returncode is not None, what="death")
        home.process = None
    await server.faults(Fault("lose", "journal", times=4))
    twice = b'{"queue":"q0",' + encode(home.event(9999, queue="q0"))[1:]
    producer = await home.producer()
    bad = await producer.send_and_wait(home.topics.jobs, twice, partition=partition_of("main", "q0", PARTITIONS))
    await home.produce(mixed(home, range(2000, 4000)))
    await home.start()
    await home.ready()
    await eventually(home.all_stored, what="all stored")
    assert (await server.state()).faulted == 4
    assert [letter.origin for letter in await home.dead_letters()] == [
        f"kafka:{bad.topic}:{bad.partition}:{bad.offset}"
    ]
    assert await agrees_with_kafka(server, home, but=[(bad.partition, bad.offset)]) == 4000


async def test_replicas_that_come_and_die_share_the_work_and_double_nothing(
    home: House, other: House, server: Server, tmp_path: Path
) -> None:
    """The second reaches ClickHouse over https, by a certificate of a CA of the house."""
    certificate = make_certificate(tmp_path)
    async with tls_before(server.port, certificate) as secured:
        other.environ |= {
            "CLICKHOUSE_URL": f"https://tocsin:secret@localhost:{secured}/tocsin",
            "CLICKHOUSE_CA_FILE": str(certificate),
        }
        await _share_and_die(home, other, server)


async def _share_and_die(home: House, other: House, server: Server) -> None:
    await home.start()
    await home.ready()
    producing = asyncio.create_task(produce_slowly(home, 4000))
    await other.start()
    await other.ready()

    async def is_shared() -> bool:
        return 0 < len(await lanes(other)) < LANES and len(await lanes(home)) + len(await lanes(other)) == LANES

    await eventually(is_shared, what="the partitions shared")
    await home.kill()
    await eventually(other.all_stored, what="all partitions with the one that is left")
    await home.start()
    await home.ready()
    await eventually(is_shared, what="the partitions shared again")
    await producing

    async def all_stored() -> bool:
        both = [*await lanes(home), *await lanes(other)]
        return len(both) == LANES and all(lane["lag"] == lane["buffered_bytes"] == 0 for lane in both)

    await eventually(all_stored, what="all stored")
    assert await agrees_with_kafka(server, home) == 4000


@pytest.mark.parametrize("held_seconds", [0, pytest.param(60, marks=pytest.mark.chaos)])
async def test_a_stopped_owner_whose_insert_lands_after_the_partition_moved_changes_nothing(
    home: House, other: House, server: Server, held_seconds: int
) -> None:
    await home.start()
    await home.ready()
    await eventually(home.all_stored, what="all partitions owned")
    await server.faults(Fault("hold", "journal", times=2))
    await home.produce(mixed(home, range(1000)))

    async def is_held() -> bool:
        return (await server.state()).holding == 2

    await eventually(is_held, what="two inserts held")
    held_at = time.monotonic()
    assert home.process is not None
    os.kill(home.process.pid, signal.SIGSTOP)
    try:
        await other.start()
        await other.ready()
        await eventually(other.all_stored, what="all stored by the second replica")
        await agrees_with_kafka(server, home)
        await asyncio.sleep(max(0.0, held_at + held_seconds - time.monotonic()))  # how long it is held is the matter
        assert (await server.state()).holding == 2
        await server.release()

        async def has_landed() -> bool:
            return (await server.state()).holding == 0

        await eventually(has_landed, what="the held inserts landed")
    finally:
        os.kill(home.process.pid, signal.SIGCONT)
    await home.produce(mixed(home, range(1000, 1500)))

    async def all_stored() -> bool:
        both = [*await lanes(home), *await lanes(other)]
        [[rows]] = await server.query("SELECT count() FROM journal")  # a lane's lag is as of its last fetch
        return rows >= 1500 and len(both) == LANES and all(lane["lag"] == lane["buffered_bytes"] == 0 for lane in both)

    await eventually(all_stored, what="all stored, with the first replica back")
    assert await agrees_with_kafka(server, home) == 1500


async def test_a_full_disk_stops_nothing_but_the_storing_and_loses_nothing(home: House, server: Server) -> None:
    await home.start()
    await home.ready()
    await home.produce(mixed(home, range(200)))
    await eventually(home.all_stored, what="all stored")
    await server.faults(Fault("refuse", "journal", code=243))
    await home.produce(mixed(home, range(200, 1200)))

    async def is_told() -> bool:
        found = await lanes(home)
        ready = await home.get("/health/ready")
        return (
            any(lane["state"] == "retrying" and "Code: 243" in str(lane["reason"]) for lane in found)
            and (ready.status_code, ready.json().get("degraded")) == (200, ["ingest"])
            and 'logsvc_insert_failures_total{table="journal"} 0.0' not in (await home.get("/metrics")).text
        )

    await eventually(is_told, what="the full disk told")

    async def was_tried_often() -> bool:
        return (await server.state()).faulted > 8

    await eventually(was_tried_often, what="many tries")
    assert (await home.get("/api/v1/logs")).status_code == 200, "what is stored can be read all along"
    assert "logsvc_partitions_retrying 0.0" not in (await home.get("/metrics")).text
    await server.faults()
    await eventually(home.all_stored, what="all stored once there is room")
    assert await agrees_with_kafka(server, home) == 1200
    assert await home.dead_letters() == []


async def test_while_clickhouse_is_away_kafka_holds_what_comes_and_queues_and_live_go_on(
    home: House, server: Server
) -> None:
    home.environ["BREAKER_RESET_SECONDS"] = "5"
    home.environ["LOGSVC_RING_MIB"] = "1"
    await home.start()
    await home.ready()
    await home.produce(mixed(home, range(200)))
    await eventually(home.all_stored, what="all stored")
    await server.kill()
    for first in (1000, 2000):
        await home.produce(mixed(home, range(first, first + 1000), data="x" * 8000))

    async def is_full() -> bool:
        """The partitions of one topic fill, each to its share, and are paused."""
        buffered = [int(str(lane["buffered_bytes"])) for lane in await lanes(home)]
        return sum(buffered) > 2 * 1024 * 1024

    await eventually(is_full, what="the buffers full")
    before = home.resident_bytes()
    for first in range(10_000, 15_000, 1000):
        await home.produce(mixed(home, range(first, first + 1000), data="y" * 8000))

    async def history_is_away() -> bool:
        answer = await home.get("/api/v1/jobs")
        return answer.status_code == 503 and int(answer.headers["retry-after"]) > 0

    await eventually(history_is_away, what="history answers 503 and when to come again")
    snapshot = QueueSnapshot(v=1, ts=1_795_000_000_000, env="prod", source="main", queue="orders", waiting=7)
    await home.produce([snapshot])

    async def queues_go_on() -> bool:
        answer = await home.get("/api/v1/queues")
        return answer.status_code == 200 and [item["waiting"] for item in answer.json()["items"]] == [7]

    await eventually(queues_go_on, what="queues told")
    assert await is_live(home, home.event(20_000, ts=1_795_000_500_000))
    assert sum(int(str(lane["buffered_bytes"])) for lane in await lanes(home)) < 16 * 1024 * 1024
    assert home.resident_bytes() - before < 30 * 1024 * 1024, "40 MB more came in"
    await server.start()
    await eventually(home.all_stored, what="caught up")
    assert await agrees_with_kafka(server, home) == 7_201
    assert (await home.get("/api/v1/jobs")).status_code == 200
    await _what_asks_too_much_is_refused_in_words(home, server)
    await _a_file_that_is_cut_does_not_look_whole(home, server)


async def _what_asks_too_much_is_refused_in_words(home: House, server: Server) -> None:
    for code in (159, 241, 307):  # too long, too much memory, too many bytes
        await server.faults(Fault("refuse", code=code))
        for path in ("logs", "jobs", "errors", "histogram", "logs.csv"):
            answer = await home.get(f"/api/v1/{path}")
            assert answer.status_code == 422, (path, code, answer.text)
            assert "narrow" in answer.json()["detail"], path
            assert "DB::" not in answer.text
    await server.faults()
    assert (await home.get("/api/v1/logs")).status_code == 200, (
        "whoever asks too much makes ClickHouse seem ill to none"
    )


async def _a_file_that_is_cut_does_not_look_whole(home: House, server: Server) -> None:
    """Both files are far more than the sockets between hold when what they need dies."""
    async with httpx.AsyncClient(base_url=home.url, timeout=READY_SECONDS) as client, asyncio.timeout(READY_SECONDS):
        async with client.stream("GET", "/api/v1/logs.csv") as answer:
            pieces = answer.aiter_bytes()
            told = bytearray(await anext(pieces))
            assert int(answer.headers["x-tocsin-rows"]) == 7_201
            await server.kill()
            await _read_on(pieces, told)
        assert told.splitlines()[-1].startswith(b'"# incomplete: ')
        assert b"ClickHouse could not be reached any more" in told.splitlines()[-1]
        await server.start()
        await eventually(lambda: _has_history(home), what="history there again")
        async with client.stream("GET", "/api/v1/logs.ndjson") as answer:
            pieces = answer.aiter_bytes()
            told = bytearray(await anext(pieces))
            await home.kill()
            with pytest.raises(httpx.RemoteProtocolError):  # the answer itself is not ended
                await _read_on(pieces, told)
        assert b'{"end":' not in told


async def _read_on(pieces: AsyncIterator[bytes], told: bytearray) -> None:
    """Read to the end, and keep what was told last."""
    async for piece in pieces:
        told += piece
        del told[:-1000]


async def _has_history(home: House) -> bool:
    return (await home.get("/api/v1/logs")).status_code == 200


async def produce_slowly(home: House, number: int) -> None:
    producer = await home.producer("slow")
    for first in range(0, number, 200):
        await producer.begin_transaction()
        events = mixed(home, range(first, first + 200))
        await asyncio.gather(*[await home.send(producer, event) for event in events])
        await producer.commit_transaction()
        await asyncio.sleep(0.2)  # so that deaths and rebalances fall between batches
