"""A bridge for each test, on a Valkey and a topic prefix of its own."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.clients import redis
from tests.integration.bridge.running import Bridge, bridge_on
from tests.servers.redis_servers import RedisServers, redis_servers


@pytest.fixture
async def bridge(kafka_bootstrap: str, topic_prefix: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Bridge]:
    """A bridge that is not started yet."""
    async with bridge_on(kafka_bootstrap, topic_prefix, redis_url, tmp_path / "bridge.log") as made:
        yield made


@pytest.fixture
async def unset_bridge(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncGenerator[Bridge]:
    """A bridge that the test tells its sources, by `watch`."""
    async with bridge_on(kafka_bootstrap, topic_prefix, "", tmp_path / "bridge.log") as made:
        yield made


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncGenerator[RedisServers]:
    """Starts the Redis of a test, in any shape."""
    async with redis_servers(tmp_path / "redis") as made:
        yield made


@pytest.fixture
async def app(redis_url: str) -> AsyncGenerator[object]:
    """The user's app as far as a test plays it by hand: a Redis client that may write."""
    client = redis.from_url(redis_url, socket_timeout=30)  # after it a command is sent again
    yield client
    await client.aclose()
