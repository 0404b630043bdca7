"""Start the servers nobody gave an address for, all at once, and keep them running."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tocsin.stack.cache import Say, cache_dir
from tocsin.stack.clickhouse import chdb_settings
from tocsin.stack.kafka import PREFERRED_PORT as KAFKA_PORT
from tocsin.stack.kafka import NoKafka, find_kafka, start_kafka
from tocsin.stack.kafka.mock import NOTICE, start_mock
from tocsin.stack.ports import Ports
from tocsin.stack.postgres import PREFERRED_PORT as POSTGRES_PORT
from tocsin.stack.postgres import start_postgres
from tocsin.stack.process import StartFailed
from tocsin.stack.server import Server
from tocsin.stack.valkey import PREFERRED_PORT as VALKEY_PORT
from tocsin.stack.valkey import start_valkey
from tocsin.topics import Topics

_GIVEN = {
    "valkey": ("REDIS_URL", "REDIS_SOURCES", "TOCSIN_SOURCES_FILE"),
    "kafka": ("KAFKA_BOOTSTRAP_SERVERS",),
    "postgres": ("DATABASE_URL",),
    "chdb": ("CLICKHOUSE_URL",),
}
_DEFAULT_PARTITIONS = 8
_LONGEST_PAUSE_SECONDS = 30.0

Starter = Callable[[], Awaitable[Server]]


class StartAgain(Exception):
    """Services and servers must be stopped and started again; the message says why."""


class StandInLost(StartAgain):
    """The in-memory Kafka ended and took every record and offset with it."""


class ServerMoved(StartAgain):
    """A server that ended came back at another address: the services know its old one."""


def given_by(name: str, environ: Mapping[str, str]) -> str | None:
    """The setting that gives this server's address, itself or as NAME_FILE; None means we run our own."""
    for setting in _GIVEN[name]:
        for variable in (setting, f"{setting}_FILE"):
            if environ.get(variable):
                return variable
    return None


@dataclass
class Stack:
    """The embedded servers of one data directory.

    environ decides what to start. After start(), settings is what services need to find all servers we run.
    is_stand_in: Kafka is the in-memory one; the directory must then be a fresh one at each start.
    """

    data: Path
    ports: Ports
    environ: Mapping[str, str]
    say: Say
    is_stand_in: bool = False
    settings: dict[str, str] = field(default_factory=dict[str, str])
    _servers: dict[str, tuple[Server, Starter]] = field(default_factory=dict[str, tuple[Server, Starter]])

    async def start(self) -> None:
        """Start all in parallel and wait until each serves. Raises StartFailed; stop() then ends what did start."""
        starters = {
            name: starter for name, starter in self._starters().items() if not self._told_given(name, self.environ)
        }
        if not self._told_given("chdb", self.environ):
            self.settings.update(chdb_settings(self.data / "clickhouse"))
        try:
            async with asyncio.TaskGroup() as group:
                for name, starter in starters.items():
                    group.create_task(self._begin(name, starter))
        except* StartFailed as failures:
            raise StartFailed("; ".join(str(failure) for failure in failures.exceptions)) from None

    async def keep_running(self) -> None:
        """Start again, at its address, each server that ends by itself; runs until cancelled. Raises StartAgain."""
        async with asyncio.TaskGroup() as group:
            for name in self._servers:
                group.create_task(self._keep(name))

    async def stop(self) -> None:
        """Stop all in parallel, each in its own orderly way."""
        await asyncio.gather(*(server.child.stop() for server in self.running()))
        self._servers.clear()

    def running(self) -> list[Server]:
        """The servers started here."""
        return [server for server, _ in self._servers.values()]

    def _starters(self) -> dict[str, Starter]:
        return {
            "valkey": lambda: start_valkey(self.data / "valkey", self.ports, VALKEY_PORT),
            "postgres": lambda: start_postgres(self.data / "postgres", self.ports, POSTGRES_PORT),
            "kafka": self._kafka,
        }

    async def _kafka(self) -> Server:
        place = self.data / "kafka"
        if self.is_stand_in:
            return await start_mock(place, self.ports, KAFKA_PORT, self._topics())
        program = await find_kafka(cache_dir(self.environ), self.environ, self.say)
        return await start_kafka(program, place, self.ports, KAFKA_PORT)

    def _topics(self) -> dict[str, int]:
        topics = Topics(self.environ.get("KAFKA_TOPIC_PREFIX") or Topics().prefix)
        partitions = int(self.environ.get("KAFKA_PARTITIONS") or _DEFAULT_PARTITIONS)
        return {spec.name: spec.wanted(partitions) for spec in topics.specs()}

    async def _begin(self, name: str, starter: Starter) -> None:
        began = time.monotonic()
        try:
            server = await starter()
        except (OSError, NoKafka) as error:  # no room, no right to write, …
            raise StartFailed(f"{name}: {error}") from error
        self._servers[name] = (server, starter)
        self.settings.update(server.settings)
        self.say(f"{name:<9} ready on {server.address} ({time.monotonic() - began:.1f} s)")

    async def _keep(self, name: str) -> None:
        pause = 0.5
        while True:
            server, starter = self._servers[name]
            code = await server.child.exited()
            if self.is_stand_in and name == "kafka":
                raise StandInLost("the in-memory Kafka ended; starting everything again with fresh data")
            self.say(f"{name:<9} ended by itself ({code}); starting it again")
            while True:
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)
                try:
                    await self._begin(name, starter)
                except StartFailed as failure:
                    self.say(f"{name:<9} did not start: {failure}")
                    continue
                break
            if self._servers[name][0].address != server.address:
                raise ServerMoved(f"somebody took the port of {name} meanwhile; starting everything again")

    def _told_given(self, name: str, environ: Mapping[str, str]) -> bool:
        variable = given_by(name, environ)
        if variable:
            self.say(f"{name:<9} not started: {variable} is set and is used instead")
        return variable is not None


async def can_run_kafka(environ: Mapping[str, str], say: Say) -> bool:
    """Whether Apache Kafka can be had here, fetching it if need be; if not, say why and what stands in."""
    if given_by("kafka", environ):
        return True
    try:
        await find_kafka(cache_dir(environ), environ, say)
    except NoKafka as error:
        say(f"Apache Kafka cannot be had here: {error}")
        say(NOTICE)
        return False
    return True
