"""Fixtures for every test: real servers, and in them a fresh topic prefix, Redis, database or directory each."""

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.clients import aiokafka_admin, asyncpg
from tests.eventually import READY_SECONDS
from tests.one_context import share_one_context
from tests.ports import free_port
from tests.product import Product, product
from tests.servers import run as servers
from tocsin.stack.ports import Ports
from tocsin.stack.server import Server
from tocsin.stack.valkey import start_valkey

settings.register_profile("no-clock", deadline=None)  # a slow machine fails no test
if settings.get_current_profile_name() == "default":  # in CI Hypothesis chooses its own, as strict
    settings.load_profile("no-clock")

StartValkey = Callable[[Path], Awaitable[Server]]


def pytest_configure(config: pytest.Config) -> None:
    """Open the run, in the controlling process only."""
    share_one_context()
    if not hasattr(config, "workerinput"):
        servers.open_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the run's servers."""
    if not hasattr(config, "workerinput"):
        servers.close_run()


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    """host:port of the run's Apache Kafka. Topics are not created by themselves."""
    return servers.shared("kafka")


@pytest.fixture
async def topic_prefix(kafka_bootstrap: str) -> AsyncGenerator[str]:
    """A KAFKA_TOPIC_PREFIX no other test uses; its topics are deleted afterwards."""
    prefix = f"t{uuid.uuid4().hex[:10]}."
    yield prefix
    admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        mine = [topic for topic in await admin.list_topics() if topic.startswith(prefix)]
        if mine:
            await admin.delete_topics(mine)
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """URL of the run's Postgres, `postgresql+asyncpg://…`, with the right to create databases."""
    return servers.shared("postgres")


@pytest.fixture
async def postgres_url(postgres_server: str) -> AsyncGenerator[str]:
    """URL (`postgresql+asyncpg://…`) of an empty database of this test's own, dropped afterwards."""
    name = f"t{uuid.uuid4().hex[:12]}"
    await _execute(postgres_server, f"CREATE DATABASE {name}")
    yield f"{postgres_server.rpartition('/')[0]}/{name}"
    await _execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def start_redis() -> AsyncGenerator[StartValkey]:
    """Start a Valkey on a data directory; its Server has settings["REDIS_URL"], child.stop(), child.process.kill().

    Starting again on the same directory is a restart, at the same address. All end with the test.
    """
    started: list[Server] = []
    asked: dict[Path, int] = {}

    async def begin(data: Path) -> Server:
        port = asked.setdefault(data, free_port())
        started.append(await start_valkey(data, Ports(data), port))
        return started[-1]

    yield begin
    for server in started:
        await server.child.stop()


@pytest.fixture
async def redis_url(start_redis: StartValkey, tmp_path: Path) -> str:
    """URL of an empty Valkey of this test's own."""
    server = await start_redis(tmp_path / "valkey")
    return server.settings["REDIS_URL"]


@pytest.fixture(scope="session")
def chdb_path() -> Generator[Path]:
    """The one directory this process may open with chDB: a second path in one process is refused by the engine.

    Tests in this process use databases of their own in it; child processes may use any other directory.
    """
    path = Path(tempfile.mkdtemp(prefix="tocsin-chdb-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def chdb_database() -> str:
    """A database name no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        async with asyncio.timeout(READY_SECONDS):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def tocsin(
    kafka_bootstrap: str, topic_prefix: str, redis_url: str, postgres_url: str, tmp_path: Path
) -> AsyncGenerator[Product]:
    """The whole product for one test, with topics, Redis, database, history and chat of its own; nothing runs yet."""
    async with product(
        tmp_path, kafka=kafka_bootstrap, prefix=topic_prefix, redis=redis_url, postgres=postgres_url
    ) as running:
        yield running
