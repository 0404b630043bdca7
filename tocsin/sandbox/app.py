"""Wiring: the Bot API, the people's side and the page on one loopback port."""

import asyncio
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from prometheus_client import CollectorRegistry

from tocsin.health import Health, health_routes
from tocsin.http import serve_http
from tocsin.sandbox.asgi import App, Event, Receive, Scope, Send
from tocsin.sandbox.botapi import BotApi
from tocsin.sandbox.control import control_routes
from tocsin.sandbox.errors import Refused, UnknownChat
from tocsin.sandbox.guard import stranger
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.options import SandboxOptions
from tocsin.sandbox.pages import SECURITY_HEADERS, page_routes

log = structlog.get_logger("sandbox")


def create_app(sandbox: Sandbox) -> App:
    """Everything the sandbox answers, as one ASGI app (HTTP only)."""
    health = Health()
    pages: Any = Litestar(
        [*control_routes(sandbox), *page_routes(), *health_routes(health, CollectorRegistry())],
        exception_handlers={UnknownChat: _unknown, Refused: _refused},
        openapi_config=None,
        logging_config=None,
    )  # Any: Litestar types the ASGI messages more narrowly than the protocol does
    bot_api = BotApi(sandbox)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        health.is_draining = sandbox.closing.is_set()
        if scope["type"] != "http":
            return
        if (why := stranger(scope)) is not None:
            await _refuse(send, why)
        elif scope["path"].startswith(("/bot", "/file/bot")):
            await bot_api(scope, receive, send)
        else:
            await pages(scope, receive, _secured(send))

    return app


async def run_sandbox(options: SandboxOptions, stop: asyncio.Event) -> None:
    """Serve until stop is set. Raises OSError if the port is taken, BrokenJournal if the data folder is damaged."""
    sandbox = Sandbox(options)

    def say_ready() -> None:
        log.info("sandbox_ready", url=f"http://{options.host}:{options.port}/", data=str(options.data or "in memory"))

    async def close_when_asked() -> None:
        await stop.wait()
        sandbox.close()

    closing = asyncio.create_task(close_when_asked(), name="sandbox-close")
    try:
        await serve_http(create_app(sandbox), options.host, options.port, stop, listening=say_ready)
    finally:
        closing.cancel()
        sandbox.close()


def _unknown(_: Request[Any, Any, Any], error: UnknownChat) -> Response[dict[str, str]]:
    return Response({"detail": str(error)}, status_code=404)


def _refused(_: Request[Any, Any, Any], error: Refused) -> Response[dict[str, str]]:
    return Response({"detail": str(error)}, status_code=400)


async def _refuse(send: Send, why: str) -> None:
    body = why.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _secured(send: Send) -> Send:
    """Add the security headers to every answer, refusals and errors included."""
    extra = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

    async def sending(message: Event) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return sending
