"""Promise 6 and the live stream on the wire: frames, filters, resume, a slow viewer, strangers."""

import asyncio
import functools
import itertools
import json
import select
import socket
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from logsvc.live.past import AT_ONCE
from tests.eventually import READY_SECONDS, eventually
from tests.integration.logsvc.house import PARTITIONS, House, house
from tests.ports import free_port

DEADLINE = READY_SECONDS
BURST = 3_000
"""More than may wait for a page, and far more than for one that nobody looks at."""


@asynccontextmanager
async def viewer(home: House, query: str = "", **options: Any) -> AsyncGenerator[ClientConnection]:
    """A WebSocket that has been greeted."""
    url = f"ws://127.0.0.1:{home.port}/api/v1/live{query}"
    async with connect(url, max_size=None, **options) as connection:
        yield connection


async def next_frame(connection: ClientConnection) -> dict[str, Any]:
    return json.loads(await asyncio.wait_for(connection.recv(), DEADLINE))


async def rows_until(connection: ClientConnection, enough: Callable[[list[Any]], bool]) -> tuple[list[Any], str, int]:
    """Rows, the last cursor, and how many were dropped, until there are enough."""
    rows: list[Any] = []
    cursor, dropped = "", 0
    async with asyncio.timeout(DEADLINE):
        while not enough(rows):
            frame = json.loads(await connection.recv())
            if frame["type"] == "rows":
                rows += frame["rows"]
                cursor = frame["cursor"]
                dropped += frame["dropped"]
    return rows, cursor, dropped


def job_ids(rows: list[Any]) -> list[int]:
    return sorted(int(row["job_id"]) for row in rows)


async def test_a_line_arrives_filtered(home: House) -> None:
    await home.start()
    await home.ready()
    async with (
        viewer(home) as everything,
        viewer(home, "?queue=q1&queue=q2&level=debug,info&q=ADDED") as some,
    ):
        hello = await next_frame(everything)
        assert (await next_frame(some))["type"] == "hello"
        assert hello["type"] == "hello"
        assert hello["as_of"].endswith("Z")
        await home.produce([home.event(n, message="was added" if n % 2 else "") for n in range(20)])
        rows, cursor, dropped = await rows_until(everything, lambda rows: len(rows) >= 20)
        assert job_ids(rows) == list(range(20))
        assert rows[0]["ts"].endswith("Z")
        assert (dropped, bool(cursor)) == (0, True)
        some_rows, _, _ = await rows_until(some, lambda rows: len(rows) >= 4)
        assert job_ids(some_rows) == [1, 7, 11, 17]

        for said in ({"type": "filter", "queue": "q4"}, {"type": "pause"}):
            await some.send(json.dumps(said))
            assert await next_frame(some) == {"type": "done", "what": said["type"]}
        await home.produce([home.event(n) for n in range(100, 110)])
        await rows_until(everything, lambda rows: len(rows) >= 10)
        await some.send(json.dumps({"type": "resume"}))
        resumed, _, _ = await rows_until(some, lambda rows: len(rows) >= 2)
        assert job_ids(resumed) == [104, 109]

        await everything.send(json.dumps({"type": "hidden"}))
        assert await next_frame(everything) == {"type": "done", "what": "hidden"}
        await home.produce([home.event(n) for n in range(1_000, 1_000 + BURST)])
        shown, left_out = 0, 0
        while shown + left_out < BURST:
            frame = await next_frame(everything)
            shown, left_out = shown + len(frame["rows"]), left_out + frame["dropped"]
        assert shown + left_out == BURST
        assert min(shown, left_out) > 0, "a page that nobody looks at is told a little, and how much it misses"


async def test_aborted_records_are_never_shown(home: House) -> None:
    await home.start()
    await home.ready()
    async with viewer(home) as connection:
        await next_frame(connection)
        producer = await home.producer("abort")
        await producer.begin_transaction()
        await home.send(producer, home.event(1))
        await producer.flush()
        await producer.abort_transaction()
        await home.produce([home.event(2, queue="q1")])
        rows, _, _ = await rows_until(connection, bool)
        assert job_ids(rows) == [2]


def holds(job: int, rows: list[Any]) -> bool:
    return str(job) in {row["job_id"] for row in rows}


async def test_a_viewer_comes_back_without_a_hole(home: House) -> None:
    home.environ["LOGSVC_RING_ROWS"] = "100"
    await home.start()
    await home.ready()
    async with viewer(home, "?queue=q0") as connection:
        await next_frame(connection)
        await home.produce([home.event(n) for n in range(10)])
        _, cursor, _ = await rows_until(connection, lambda rows: len(rows) >= 2)
    async with viewer(home) as witness:
        await next_frame(witness)
        await home.produce([home.event(n) for n in range(10, 20)])
        await rows_until(witness, lambda rows: len(rows) >= 10)
    async with viewer(home, f"?queue=q0&after={cursor}") as connection:
        hello = await next_frame(connection)
        assert (hello["type"], hello["cursor"]) == ("hello", cursor)
        await home.produce([home.event(n) for n in range(20, 30)])
        rows, _, _ = await rows_until(connection, lambda rows: len(rows) >= 4)
        assert job_ids(rows) == [10, 15, 20, 25]
    async with viewer(home) as witness:
        await next_frame(witness)
        for first in (100, 200, 300):
            await home.produce([home.event(n, data="x" * 10_000) for n in range(first, first + 100)])
            await rows_until(witness, lambda rows: len(rows) >= 100)
    # The ring has forgotten some of it, and another process has another ring: Kafka still holds it all.
    for is_new in (False, True):
        if is_new:
            await home.stop()
            await home.start()
            await home.ready()
        async with viewer(home, f"?after={cursor}") as connection:
            assert (await next_frame(connection))["type"] == "hello"
            last = 1000 + is_new
            await home.produce([home.event(last)])
            rows, _, dropped = await rows_until(connection, functools.partial(holds, last))
            assert (len({row["id"] for row in rows}), dropped) == (len(rows), 0)
            assert set(job_ids(rows)) == {*range(10, 30), *range(100, 400), *range(1000, last + 1)}

    async def come_back() -> set[int]:
        async with viewer(home, f"?after={cursor}") as connection:
            rows, _, _ = await rows_until(connection, functools.partial(holds, 1001))
            return set(job_ids(rows))

    # More at once than may read from Kafka at the same time: they take turns, and nobody misses anything. Who takes
    # nothing meanwhile holds no turn, and misses nothing either.
    whole = {*range(10, 30), *range(100, 400), 1000, 1001}
    async with AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(viewer(home, f"?after={cursor}")) for _ in range(AT_ONCE)]
        for connection in idle:
            await connection.send(json.dumps({"type": "pause"}))
        everybody = await asyncio.gather(*(come_back() for _ in range(AT_ONCE + 2)))
        assert everybody == [whole] * len(everybody)
        for connection in idle:
            await connection.send(json.dumps({"type": "resume"}))
            rows, _, _ = await rows_until(connection, functools.partial(holds, 1001))
            assert set(job_ids(rows)) == whole
    # More than LOGSVC_RESUME_ROWS is not read again: that is a gap, and then comes what is new.
    await home.stop()
    home.environ["LOGSVC_RESUME_ROWS"] = "50"
    await home.start()
    await home.ready()
    async with viewer(home, f"?after={cursor}") as connection:
        await next_frame(connection)
        gap = await next_frame(connection)
        assert gap["type"] == "gap"
        assert gap["from"] < gap["to"]
        await home.produce([home.event(1002)])
        rows, _, _ = await rows_until(connection, functools.partial(holds, 1002))
        assert job_ids(rows) == [1002]
    # What Kafka has deleted is a gap that says from when to when, and then comes what there is.
    for place in range(PARTITIONS):
        await home.expire(home.topics.jobs, place, before=-1)
    async with viewer(home, f"?after={cursor}") as connection:
        await next_frame(connection)
        gap = await next_frame(connection)
        assert (gap["type"], gap["count"]) == ("gap", None)
        assert gap["from"] < gap["to"]


async def test_a_viewer_who_had_everything_comes_back_to_another_process_without_a_gap(home: House) -> None:
    await home.start()
    await home.ready()
    async with viewer(home) as connection:
        await next_frame(connection)
        await home.produce([home.event(n) for n in range(10)])  # a marker of the transaction follows them
        _, cursor, _ = await rows_until(connection, lambda rows: len(rows) >= 10)
    await home.stop()
    await home.start()
    await home.ready()
    async with viewer(home, f"?after={cursor}") as connection:
        hello = await next_frame(connection)
        assert (hello["type"], hello["cursor"]) == ("hello", cursor)
        await home.produce([home.event(10)])
        assert (await next_frame(connection))["type"] == "rows"


async def test_viewers_go_on_at_another_replica_when_theirs_is_killed(
    home: House, tmp_path: Path, kafka_bootstrap: str, topic_prefix: str
) -> None:
    """One by WebSocket, one by server-sent events; the other replica began later, and its ring is small."""
    await home.start()
    await home.ready()
    async with house(tmp_path / "other", kafka_bootstrap, topic_prefix, LOGSVC_RING_ROWS="100") as other:
        watched: dict[str, list[int]] = {"websocket": [], "sse": []}
        follow = [
            asyncio.create_task(follow_websocket([home, other], watched["websocket"])),
            asyncio.create_task(follow_events([home, other], watched["sse"])),
        ]
        sent = 0

        async def everything_seen() -> bool:
            assert not any(task.done() for task in follow), [task for task in follow if task.done()]
            return all(set(seen) >= set(range(first, sent)) for seen in watched.values())

        async def both_watch() -> bool:
            return (await home.json("/api/v1/system"))["live"]["viewers"] == 2

        try:
            await eventually(both_watch, what="both viewers there")
            first = sent
            await home.produce([home.event(n) for n in range(sent, sent + 300)])
            sent += 300
            await eventually(everything_seen, what="the first lines seen")
            await home.produce([home.event(n) for n in range(sent, sent + 300)])
            sent += 300
            await home.kill()
            await home.produce([home.event(n) for n in range(sent, sent + 300)])
            sent += 300
            await other.start()
            await other.ready()
            await home.produce([home.event(n) for n in range(sent, sent + 300)])
            sent += 300
            await eventually(everything_seen, what="every line seen")
        finally:
            for task in follow:
                task.cancel()
            await asyncio.gather(*follow, return_exceptions=True)
        assert {name: sorted(seen) for name, seen in watched.items()} == {name: list(range(sent)) for name in watched}


async def follow_websocket(replicas: list[House], seen: list[int]) -> None:
    """Watch one replica after the other, for ever, as a client does that keeps the last frame's cursor."""
    cursor = ""
    for replica in itertools.cycle(replicas):
        with suppress(OSError, ConnectionClosed, InvalidHandshake):
            async with viewer(replica, f"?after={cursor}" if cursor else "") as connection:
                while True:
                    frame = json.loads(await connection.recv())
                    assert frame["type"] != "gap"
                    seen += [int(row["job_id"]) for row in frame.get("rows", ())]
                    assert not frame.get("dropped")
                    cursor = frame.get("cursor") or cursor
        await asyncio.sleep(0.1)


async def follow_events(replicas: list[House], seen: list[int]) -> None:
    """The same as a browser's EventSource does it: it keeps the last id, and an event counts once it is whole."""
    last_id = ""
    for replica in itertools.cycle(replicas):
        headers = {"last-event-id": last_id} if last_id else {}
        with suppress(httpx.TransportError):
            async with (
                httpx.AsyncClient(base_url=replica.url, timeout=DEADLINE) as client,
                client.stream("GET", "/api/v1/live/sse", headers=headers) as answer,
            ):
                new_id, data = last_id, ""
                async for text in answer.aiter_lines():
                    name, _, value = text.partition(": ")
                    if name == "id":
                        new_id = value
                    elif name == "data":
                        data = value
                    elif not text and data:
                        frame, data, last_id = json.loads(data), "", new_id
                        assert frame["type"] != "gap"
                        seen += [int(row["job_id"]) for row in frame.get("rows", ())]
        await asyncio.sleep(0.1)


async def test_server_sent_events_carry_the_same_frames_and_resume_by_their_id(home: House) -> None:
    await home.start()
    await home.ready()
    async with httpx.AsyncClient(base_url=home.url, timeout=DEADLINE) as client:
        last_id = ""
        for first, headers in ((0, {}), (10, {"last-event-id": "$"})):
            sent = {name: last_id for name in headers}
            if first:
                await home.produce([home.event(n) for n in range(first, first + 10)])
            async with client.stream("GET", "/api/v1/live/sse?queue=q3", headers=sent) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                assert "no-transform" in answer.headers["cache-control"]
                seen: list[int] = []
                async for text in answer.aiter_lines():
                    if text.startswith("id: "):
                        last_id = text[4:]
                    if not text.startswith("data: "):
                        continue
                    frame = json.loads(text[6:])
                    if frame["type"] == "hello" and not first:
                        await home.produce([home.event(n) for n in range(10)])
                    if frame["type"] == "rows":
                        seen += [int(row["job_id"]) for row in frame["rows"]]
                        if len(seen) == 2:
                            break
                assert seen == [first + 3, first + 8]


async def test_viewers_that_never_read_cost_little_are_cut_and_slow_nobody(home: House) -> None:
    home.environ["CLICKHOUSE_URL"] = f"http://127.0.0.1:{free_port()}/tocsin"  # what it holds is not looked at here
    home.environ["LOGSVC_RING_MIB"] = "8"
    await home.start()
    await home.ready()
    async with viewer(home) as good:
        await next_frame(good)
        total = 0
        lag: list[int] = []

        async def thousand_more() -> int:
            """Have the good viewer see a thousand lines more, as fast as it takes them; returns the memory then."""
            nonlocal total
            for _ in range(10):
                await home.produce([home.event(total + n, data="x" * 2000) for n in range(100)], transaction=False)
                total += 100
                got = 0
                while got < 100:
                    frame = await next_frame(good)
                    if frame["type"] == "rows":
                        got += len(frame["rows"])
                        assert frame["dropped"] == 0
                        lag.append(frame["lag_ms"])
            return home.resident_bytes()

        before = max([await thousand_more() for _ in range(10)])
        filters = ["", "env=prod", "source=main", "kind=event", "level=info", "state=waiting"]
        with ExitStack() as stack:
            silent = [stack.enter_context(silent_viewer(home, f"?{asked}")) for asked in filters]
            most, until = before, time.monotonic() + READY_SECONDS

            async def cut() -> bool:
                return f"logsvc_live_viewers_cut_total {len(filters)}.0" in (await home.get("/metrics")).text

            while not await cut():
                assert time.monotonic() < until, "the silent viewers were never cut off"
                most = max(most, await thousand_more())
            print(f"bytes a silent viewer: {(most - before) / len(filters):,.0f}")
            assert (most - before) / len(filters) < 5_000_000
            assert sorted(lag)[len(lag) // 2] < 2000
            for one in silent:
                hung_up = select.poll()
                hung_up.register(one, select.POLLRDHUP)
                await eventually(lambda watched=hung_up: bool(watched.poll(0)), what="its connection closed")


@contextmanager
def silent_viewer(home: House, query: str) -> Generator[socket.socket]:
    """A viewer that asks for the stream and then reads nothing at all."""
    with socket.create_connection(("127.0.0.1", home.port)) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        handshake = (
            f"GET /api/v1/live{query} HTTP/1.1\r\nHost: 127.0.0.1:{home.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        silent.sendall(handshake.encode())
        yield silent


async def test_there_is_room_for_so_many_viewers_and_no_time_for_half_a_request(home: House) -> None:
    home.environ["LOGSVC_VIEWERS"] = "2"
    await home.start()
    await home.ready()
    with socket.create_connection(("127.0.0.1", home.port)) as slow:
        slow.sendall(b"GET /api/v1/live HTTP/1.1\r\nHost: ")
        async with viewer(home) as one, viewer(home, compression=None) as other:
            assert (await next_frame(one))["type"] == (await next_frame(other))["type"] == "hello"
            assert one.response
            assert "permessage-deflate" in one.response.headers.get("Sec-WebSocket-Extensions", "")
            async with viewer(home) as third:
                with pytest.raises(ConnectionClosed) as closed:
                    await next_frame(third)
                assert closed.value.rcvd
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1013, "too many viewers; try again later")
            refused = await home.get("/api/v1/live/sse")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
            await other.send("x" * 2_000_000)
            with pytest.raises(ConnectionClosed) as closed:
                await next_frame(other)
            assert closed.value.rcvd
            assert closed.value.rcvd.code == 1009

            async def has_room() -> bool:
                return (await home.json("/api/v1/system"))["live"]["viewers"] == 1

            await eventually(has_room, what="the room of who was sent away")
            async with viewer(home) as third:
                assert (await next_frame(third))["type"] == "hello"
            for said in ("hidden", "visible"):
                await one.send(json.dumps({"type": said}))
                assert await next_frame(one) == {"type": "done", "what": said}
        slow.sendall(b"127.0.0")
        gone = select.poll()
        gone.register(slow, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        await eventually(lambda: bool(gone.poll(0)), what="the slow request cut off")


async def test_strangers_and_nonsense_are_sent_away(home: House) -> None:
    await home.start()
    await home.ready()
    for origin in ("https://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            async with viewer(home, origin=origin):
                pass
        assert refused.value.response.status_code == 403
    async with viewer(home, origin=f"http://127.0.0.1:{home.port}") as connection:
        assert (await next_frame(connection))["type"] == "hello"
    for query in ("?after=nonsense", "?q=" + "x" * 1001):
        async with viewer(home, query) as connection:
            assert (await next_frame(connection))["type"] == "error"
            with pytest.raises(ConnectionClosed):
                await next_frame(connection)
    for said in ("{", "[]", '{"type":"drop"}', '{"type":"filter","queue":7}', "x" * 70_000):
        async with viewer(home) as connection:
            assert (await next_frame(connection))["type"] == "hello"
            await connection.send(said)
            assert (await next_frame(connection))["type"] == "error"
            with pytest.raises(ConnectionClosed) as closed:
                await next_frame(connection)
            assert closed.value.rcvd
            assert closed.value.rcvd.code == 1008
    async with viewer(home) as connection:
        await next_frame(connection)
        stopping = asyncio.create_task(home.stop())
        with pytest.raises(ConnectionClosed) as closed:
            await next_frame(connection)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1012
        assert await stopping == 0
    assert "request_failed" not in home.log()


async def test_viewers_that_leave_are_forgotten(home: House) -> None:
    await home.start()
    await home.ready()
    for _ in range(5):
        async with viewer(home) as connection:
            await next_frame(connection)

    async def nobody() -> bool:
        return (await home.json("/api/v1/system"))["live"]["viewers"] == 0

    await eventually(nobody, what="no viewers left")
