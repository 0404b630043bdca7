"""Somebody else's HTTP address that the product calls: it keeps what it was sent, and answers as it is told."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from litestar import Litestar, Request, Response, route

from tests.ports import free_port
from tests.servers.serving import serving


@dataclass(frozen=True)
class Asked:
    """One request. headers: names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Hooks:
    """answers: what the next requests get, status and headers; afterwards 200."""

    port: int = field(default_factory=free_port)
    asked: list[Asked] = field(default_factory=list[Asked])
    answers: list[Response[Any]] = field(default_factory=list[Response[Any]])
    always: Response[Any] | None = None

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def to(self, path: str) -> list[Asked]:
        """What was sent to one path."""
        return [one for one in self.asked if one.path == f"/{path}"]


@asynccontextmanager
async def hooks() -> AsyncGenerator[Hooks]:
    """Listen on loopback."""
    one, stop = Hooks(), asyncio.Event()

    @route("/{path:path}", http_method=["GET", "POST"], status_code=200)
    async def take(request: Request[Any, Any, Any]) -> Response[Any]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        one.asked.append(Asked(request.method, request.url.path, headers, await request.body()))
        if one.answers:
            return one.answers.pop(0)
        return one.always or Response("ok", media_type="text/plain")

    app = Litestar([take], openapi_config=None, logging_config=None)
    task = await serving(app, one.port, stop)
    try:
        yield one
    finally:
        stop.set()
        await task
