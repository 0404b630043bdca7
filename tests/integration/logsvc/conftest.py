"""Fixtures of logsvc's integration tests."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.integration.logsvc.house import House, house


@pytest.fixture
async def home(tmp_path: Path, kafka_bootstrap: str, topic_prefix: str) -> AsyncGenerator[House]:
    """A logsvc that is not started yet, its topics made."""
    async with house(tmp_path / "logsvc", kafka_bootstrap, topic_prefix) as one:
        yield one
