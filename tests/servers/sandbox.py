"""The Telegram sandbox inside a test: a real server on a free port, and python-telegram-bot pointed at it."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from telegram import Bot
from telegram.error import TelegramError
from telegram.ext import Application, ApplicationBuilder
from telegram.request import HTTPXRequest

from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tocsin.http import serve_http
from tocsin.sandbox.app import create_app
from tocsin.sandbox.calls import Call
from tocsin.sandbox.flood import FloodLimits, Window
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.options import DEMO_CHAT_ID, SandboxOptions

TOKEN = "7000000001:sandbox-token-of-the-tests-AAAAAAAA"
CHAT = DEMO_CHAT_ID
UNLIMITED = FloodLimits(Window(0, 1), Window(0, 1), Window(0, 1))


class Running:
    """A sandbox that answers. `people` speaks to its /sandbox side."""

    def __init__(self, sandbox: Sandbox, people: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.people = people
        self.url = str(people.base_url).rstrip("/")

    def bot(self, token: str = TOKEN, *, read_timeout: float = READY_SECONDS) -> Bot:
        """A Bot that is not initialised yet: use it as `async with`."""
        return Bot(
            token, base_url=f"{self.url}/bot", base_file_url=f"{self.url}/file/bot", request=_request(read_timeout)
        )

    def application(self) -> Application[Any, Any, Any, Any, Any, Any]:
        """An Application to be driven by initialize, start and start_polling, as the bot service does."""
        return (
            ApplicationBuilder()
            .token(TOKEN)
            .base_url(f"{self.url}/bot")
            .request(_request(READY_SECONDS))
            .get_updates_request(_request(READY_SECONDS))
            .build()
        )

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """POST /sandbox/<path>; fails the test unless the answer is a success."""
        answer = await self.people.post(f"/sandbox/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def say(self, text: str, *, chat_id: int = CHAT, user_id: int = CHAT, **more: Any) -> dict[str, Any]:
        return await self.post("messages", chat_id=chat_id, user_id=user_id, text=text, **more)

    async def press(self, message_id: int, data: str, *, chat_id: int = CHAT, user_id: int = CHAT, **more: Any) -> Any:
        return await self.post("callbacks", chat_id=chat_id, user_id=user_id, message_id=message_id, data=data, **more)

    async def fault(self, kind: str, **more: Any) -> int:
        return (await self.post("faults", kind=kind, **more))["id"]

    async def messages(self, chat_id: int = CHAT) -> list[dict[str, Any]]:
        answer = await self.people.get(f"/sandbox/chats/{chat_id}/messages")
        return answer.raise_for_status().json()["items"]

    def calls(self, method: str) -> list[Call]:
        return self.sandbox.calls.items(method=method)


@asynccontextmanager
async def running_sandbox(
    *, token: str | None = TOKEN, limits: FloodLimits = UNLIMITED, query_seconds: float = 60, data: Path | None = None
) -> AsyncGenerator[Running]:
    """Serve a sandbox until the block ends. Without flood limits, unless a test asks for them."""
    port = free_port()
    chosen = SandboxOptions(port=port, token=token, limits=limits, query_seconds=query_seconds, data=data)
    sandbox = Sandbox(chosen)
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_http(create_app(sandbox), chosen.host, port, stop, drain_seconds=2))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=READY_SECONDS) as people:

        async def answers() -> bool:
            try:
                return (await people.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        try:
            await eventually(answers, what="the sandbox")
            yield Running(sandbox, people)
        finally:
            sandbox.close()
            stop.set()
            await serving


@contextmanager
def refused(kind: type[TelegramError], text: str) -> Generator[None]:
    """Expect a refusal with this text (python-telegram-bot changes the case of a text, so case is not looked at)."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.message.lower() == text.lower()


def _request(read_timeout: float) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=8,
        read_timeout=read_timeout,
        write_timeout=READY_SECONDS,
        connect_timeout=READY_SECONDS,
        pool_timeout=READY_SECONDS,
    )
