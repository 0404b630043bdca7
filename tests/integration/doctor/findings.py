"""What tests of the doctor share: secrets that must never be told, and ways to look at what it found."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from litestar import Litestar

from tests.ports import free_port
from tests.servers.serving import serving
from tocsin.doctor import Finding, Verdict

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1"  # the example of Telegram's own documentation
WRONG = "wrong-secret-9f3b"
PATIENT = pytest.mark.usefixtures("patient")


def only(findings: list[Finding], verdict: Verdict) -> Finding:
    """The one finding of this verdict."""
    chosen = [finding for finding in findings if finding.verdict is verdict]
    assert len(chosen) == 1, findings
    return chosen[0]


@contextlib.asynccontextmanager
async def answering(handler: Any) -> AsyncGenerator[str]:
    """The address of a server that has this one route."""
    port, stop = free_port(), asyncio.Event()
    app = Litestar([handler], openapi_config=None, logging_config=None)
    task = await serving(app, port, stop)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await task


async def bad(check: Any) -> list[Finding]:
    """The problems a check has found."""
    return [finding for finding in await check if finding.verdict is Verdict.BAD]
