"""Fixtures of logsvc's integration tests."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from logsvc.schema import migrate
from logsvc.settings import LogsvcSettings
from logsvc.store import Store
from tests.integration.logsvc.furnished import furnished
from tests.integration.logsvc.house import House, house
from tests.integration.logsvc.recent import recent
from tocsin.breakers import Breakers
from tocsin.settings import read


@pytest.fixture
async def home(tmp_path: Path, kafka_bootstrap: str, topic_prefix: str) -> AsyncGenerator[House]:
    """A logsvc that is not started yet, its topics made."""
    async with house(tmp_path / "logsvc", kafka_bootstrap, topic_prefix) as one:
        yield one


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def known(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> AsyncGenerator[House]:
    """A running logsvc whose past is known (furnished.py); nobody changes it."""
    async for one in furnished(tmp_path_factory.mktemp("known") / "logsvc", kafka_bootstrap):
        yield one


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def lately(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> AsyncGenerator[House]:
    """A running logsvc whose past ends now (recent.py), for the pages that show it."""
    async for one in recent(tmp_path_factory.mktemp("lately") / "logsvc", kafka_bootstrap):
        yield one


def store_settings(path: Path, database: str, **more: str) -> LogsvcSettings:
    """Settings of a store in this process."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CLICKHOUSE_URL": f"chdb://{path}?database={database}",
        "LOGSVC_RETENTION_DAYS": "3650",
        **more,
    }
    return read(LogsvcSettings, given)


@pytest.fixture
async def store(chdb_path: Path, chdb_database: str) -> AsyncGenerator[Store]:
    """Empty tables in a chDB database of this test's own, in this process."""
    settings = store_settings(chdb_path, chdb_database)
    one = Store(settings, Breakers(settings, CollectorRegistry()))
    await migrate.apply(one, settings.logsvc_retention_days)
    yield one
    await one.command(f"DROP DATABASE {chdb_database}")
    await one.close()
