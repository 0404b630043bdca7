"""A sandbox per test."""

from collections.abc import AsyncGenerator

import pytest

from tests.servers.sandbox import Running, running_sandbox


@pytest.fixture
async def running() -> AsyncGenerator[Running]:
    """A fresh sandbox, in memory, without flood limits."""
    async with running_sandbox() as sandbox:
        yield sandbox
