"""Kafka itself is stopped, killed, and started again on its data, under a bridge at work: every event is there once."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.bullmq.driver import workload
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import ROOT, Bridge, bridge_on
from tests.integration.bridge.test_kills import QUEUES, finish
from tests.ports import free_port
from tocsin.stack.cache import cache_dir
from tocsin.stack.kafka import find_kafka, start_kafka
from tocsin.stack.kafka.server import KafkaProgram
from tocsin.stack.ports import Ports
from tocsin.stack.server import Server

LATE = re.compile(r"transaction of partition \d+ failed")


class OwnKafka:
    """A node of the test's own. `start` after `stop` or `kill` is a restart, at the same address."""

    def __init__(self, program: KafkaProgram, data: Path) -> None:
        self._program = program
        self._data = data
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        self.server: Server | None = None

    async def start(self) -> None:
        self.server = await start_kafka(self._program, self._data, Ports(self._data), self._port)
        assert self.server.settings["KAFKA_BOOTSTRAP_SERVERS"] == self.address

    async def stop(self) -> None:
        """SIGTERM: it closes its logs in order."""
        if self.server is not None:
            await self.server.child.stop()
            self.server = None

    @property
    def process(self) -> Popen[bytes]:
        assert self.server is not None
        return self.server.child.process

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        assert self.server is not None
        await self.server.child.exited()
        self.server = None


@asynccontextmanager
async def own_kafka(data: Path) -> AsyncGenerator[OwnKafka]:
    kafka = OwnKafka(await find_kafka(cache_dir(os.environ), os.environ, print), data)
    await kafka.start()
    try:
        yield kafka
    finally:
        await kafka.stop()


async def until_going_on(bridge: Bridge) -> None:
    """Wait for more than is there now."""
    before = len((await bridge.records()).jobs)

    async def is_more() -> bool:
        return len((await bridge.records()).jobs) > before

    await eventually(is_more, what="an event more in Kafka")


async def misses_kafka(bridge: Bridge) -> bool:
    return await bridge.missing() == ["kafka"] and await breaker(bridge) > 0


async def breaker(bridge: Bridge) -> float:
    return await bridge.metric("bridge_breaker_state", dependency="kafka-relay")


@pytest.mark.chaos
async def test_each_event_is_there_once_though_kafka_was_away(redis_url: str, tmp_path: Path) -> None:
    async with (
        own_kafka(tmp_path / "kafka") as kafka,
        bridge_on(kafka.address, "tocsin.", redis_url, tmp_path / "bridge.log") as bridge,
    ):
        await bridge.start()
        await bridge.ready()
        async with workload(
            redis_url, version=6, jobs=100_000, queues=QUEUES, rate=40, without=["handed-back"]
        ) as running:
            for go_away in (kafka.stop, kafka.kill):
                await until_going_on(bridge)
                await go_away()
                await eventually(lambda: misses_kafka(bridge), what="a bridge that says what it misses")
                await kafka.start()
                await bridge.ready()
                await until_going_on(bridge)
                assert await breaker(bridge) == 0
            await finish(bridge, await running.stop())


async def test_each_event_is_there_once_though_kafka_answered_a_commit_too_late(
    app: Any, redis_url: str, tmp_path: Path
) -> None:
    """The bridge gives up by its own deadline, and Kafka commits after that: nobody may tell the same again."""
    async with (
        own_kafka(tmp_path / "kafka") as kafka,
        bridge_on(kafka.address, "tocsin.", redis_url, tmp_path / "bridge.log") as bridge,
    ):
        await make_queue(app, "mail")
        await bridge.start(str(ROOT / "tests/integration/bridge/faulty_kafka.py"), "frozen", str(kafka.process.pid))
        await bridge.ready()
        added = 0
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not LATE.search(bridge.log):
                    await add_events(app, "mail", 10, first=added)
                    added += 10
                    await asyncio.sleep(0.2)  # Kafka cannot be asked whether that was committed
        finally:
            kafka.process.send_signal(signal.SIGCONT)
        await add_events(app, "mail", 1, first=added)

        async def is_there() -> bool:
            return any(event.job_id == f"job-{added}" for event in (await bridge.records()).jobs)

        await eventually(is_there, what="the last event")
        told = [event.job_id for event in (await bridge.records()).of_queue("mail")]
        assert told == [f"job-{number}" for number in range(added + 1)]
