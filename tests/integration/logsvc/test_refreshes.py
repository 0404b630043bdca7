"""`/ws` on the wire: what Kafka brings becomes refresh messages, at both ports; and the stand-in with its page."""

import asyncio
import json
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import Any

import pytest
from playwright.async_api import expect
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from logsvc.live.crowd import Crowd
from logsvc.live.origin import Gate
from logsvc.live.refresh_feed import RefreshFeed
from logsvc.live.refresh_socket import RefreshSocket
from logsvc.live.refreshes import Subscription
from logsvc.metrics import Metrics
from logsvc.settings import LogsvcSettings
from tests.browser import open_page
from tests.eventually import READY_SECONDS, eventually
from tests.integration.logsvc.house import House
from tests.ports import free_port
from tocsin.events import LogLine, QueueSnapshot, SchedulerSnapshot
from tocsin.http import serve_http
from tocsin.refresh import Refresh, Touched
from tocsin.settings import read
from tocsin.stack.process import accepts_connections

CHANGES = 15
"""Of one thing, a few to a second."""

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def next_message(connection: ClientConnection) -> dict[str, Any]:
    return json.loads(await asyncio.wait_for(connection.recv(), READY_SECONDS))


async def heard(connection: ClientConnection, number: int) -> list[tuple[str, dict[str, str]]]:
    messages = [await next_message(connection) for _ in range(number)]
    return sorted([(message["type"], message["data"]) for message in messages], key=str)


async def test_a_page_hears_what_changed_and_only_what_it_asked_for(home: House) -> None:
    extra = free_port()
    home.environ["WEBSOCKET_PORT"] = str(extra)
    await home.start()
    await home.ready()
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://127.0.0.1:{extra}/ws", origin="https://evil.example")  # pyright: ignore[reportArgumentType]  # a NewType of str
    assert refused.value.response.status_code == 403
    async with (
        connect(f"ws://127.0.0.1:{home.port}/ws") as everything,
        connect(f"ws://127.0.0.1:{extra}/") as narrowed,
        connect(f"ws://127.0.0.1:{home.port}/ws?type=queue-refresh&queueName=q1") as queue,
    ):
        await narrowed.send(json.dumps({"type": "subscribe", "to": [{"type": "log-refresh"}, {"jobId": "2"}]}))
        assert await next_message(narrowed) == {"type": "done", "what": "subscribe"}
        known: dict[str, Any] = {"v": 1, "ts": 1_795_000_000_000, "env": "prod", "source": "main", "queue": "q1"}
        counts = dict.fromkeys(
            ("waiting", "active", "delayed", "prioritized", "waiting_children", "completed", "failed"), 0
        )
        records = [
            home.event(1, queue="q1"),
            home.event(2, queue="q/1"),
            LogLine(id="l", job_id="1", **known),
            QueueSnapshot(is_paused=False, **known, **counts),
            SchedulerSnapshot(scheduler="ni:ght", **known),
        ]
        await home.produce(records)
        of_job = {"id": "main/q1/1", "queueName": "q1", "jobId": "1"}
        of_queue = {"id": "main/q1", "queueName": "q1"}
        of_other = {"id": "main/q%2F1/2", "queueName": "q/1", "jobId": "2"}
        of_scheduler = {"id": "main/q1/ni%3Aght", "queueName": "q1", "schedulerKey": "ni:ght"}
        assert await heard(everything, 5) == [
            ("job-refresh", of_other),
            ("job-refresh", of_job),
            ("job-scheduler-refresh", of_scheduler),
            ("log-refresh", of_job),
            ("queue-refresh", of_queue),
        ]
        assert ("log-refresh", of_job) in await heard(narrowed, 2)
        assert await heard(queue, 1) == [("queue-refresh", of_queue)]
        began = time.monotonic()
        for waiting in range(CHANGES):
            changed: dict[str, Any] = {**known, **counts, "waiting": waiting}
            await home.produce([QueueSnapshot(is_paused=False, **changed)], transaction=False)
        await home.produce([home.event(3)])
        told = 0
        while (await next_message(everything))["type"] != "job-refresh":
            told += 1
        assert told <= time.monotonic() - began + 2, "each thing is told once a second at most"
        if not told:  # it was told less than a second before, and waited
            assert (await next_message(everything))["type"] == "queue-refresh"
        await narrowed.send("[]")
        assert (await next_message(narrowed))["type"] == "error"
        assert await home.stop() == 0
        await asyncio.wait_for(everything.wait_closed(), READY_SECONDS)
        assert everything.close_code == 1012


class Heard(RefreshFeed):
    """A feed that shows who listens, and when they have left."""

    subscription: Subscription
    arrived: asyncio.Event

    def __init__(self, settings: LogsvcSettings) -> None:
        super().__init__(settings)
        self.left = asyncio.Event()

    def listen(self, subscription: Subscription) -> asyncio.Event:
        self.subscription, self.arrived = subscription, super().listen(subscription)
        return self.arrived

    def leave(self, subscription: Subscription) -> None:
        super().leave(subscription)
        self.left.set()


async def test_nothing_is_sent_on_to_a_viewer_whose_connection_broke(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio warns of each message that is written nevertheless, but for the first few."""
    feed = Heard(read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CLICKHOUSE_URL": "chdb:///x"}))
    app = RefreshSocket(feed, Gate(), Crowd(1, 1), Metrics(CollectorRegistry()))
    port, stop, listens = free_port(), asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve_http(app, "127.0.0.1", port, stop, drain_seconds=1, listening=listens.set))
    await listens.wait()
    with socket.create_connection(("127.0.0.1", port)) as viewer:
        viewer.sendall(HANDSHAKE % port)
        await eventually(lambda: hasattr(feed, "arrived"), what="the viewer there")
        feed.subscription.offer([Refresh("job-refresh", Touched(job_id=str(n))) for n in range(100)])
        feed.arrived.set()
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed so, it is cut
    async with asyncio.timeout(READY_SECONDS):
        await feed.left.wait()
    stop.set()
    await serving
    assert [record.message for record in caplog.records if "socket.send()" in record.message] == []


async def test_nothing_is_sent_to_a_viewer_any_more_who_is_sent_away(caplog: pytest.LogCaptureFixture) -> None:
    """Though something has come for it just then: uvicorn takes that for an error of ours."""
    feed = Heard(read(LogsvcSettings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CLICKHOUSE_URL": "chdb:///x"}))
    app = RefreshSocket(feed, Gate(), Crowd(1, 1), Metrics(CollectorRegistry()))

    async def with_news(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if '"error"' in message.get("text", ""):
                feed.subscription.offer([Refresh("job-refresh", Touched(job_id="1"))])
                feed.arrived.set()
            await send(message)

        await app(scope, receive, sending)

    port, stop, listens = free_port(), asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(
        serve_http(with_news, "127.0.0.1", port, stop, drain_seconds=1, listening=listens.set)
    )
    await listens.wait()
    async with connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as viewer:
        await viewer.send('{"type":"drop"}')
        assert (await next_message(viewer))["type"] == "error"
        await asyncio.wait_for(viewer.wait_closed(), READY_SECONDS)
        assert viewer.close_code == 1008
    stop.set()
    await serving
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_the_stand_in_shows_made_up_messages_on_its_page() -> None:
    port = free_port()
    command = ["-m", "tocsin.sandbox.refreshes", "--port", str(port), "--rate", "50"]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.DEVNULL)
    try:

        async def listens() -> bool:
            with suppress(OSError):
                return await accepts_connections(port)
            return False

        await eventually(listens, what="the stand-in listening")
        async with open_page() as page:
            await page.goto(f"http://127.0.0.1:{port}/")
            await expect(page.locator("#status")).to_have_text("connected")
            await expect(page.locator("[data-type=job-refresh]").first).to_be_visible()
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), READY_SECONDS) == 0
