"""The bot as logsvc knows it when it does something itself: an audit that is told of it, over real HTTP."""

import asyncio
from typing import Any

from litestar import Litestar, Request, get, post, put
from litestar.params import FromPath

from tests.eventually import READY_SECONDS
from tests.ports import free_port
from tests.servers.serving import serving
from tocsin.access import AccessList


class FakeBot:
    """deeds: what was begun, by request_id, with what came of it."""

    def __init__(self) -> None:
        self.deeds: dict[str, dict[str, Any]] = {}
        self.port = free_port()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        @get("/internal/v1/access", sync_to_thread=False)
        def access() -> AccessList:
            return AccessList(as_of="2026-01-01T00:00:00Z", tokens=[], ended=[])

        @post("/internal/v1/audit", status_code=204)
        async def begin(request: Request[Any, Any, Any]) -> None:
            deed = await request.json()
            self.deeds[deed["request_id"]] = deed

        @put("/internal/v1/audit/{request_id:str}", status_code=204)
        async def end(request: Request[Any, Any, Any], request_id: FromPath[str]) -> None:
            self.deeds[request_id] |= await request.json()

        app = Litestar([access, begin, end], openapi_config=None, logging_config=None)
        self._task = await serving(app, self.port, self._stop)

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await asyncio.wait_for(self._task, READY_SECONDS)
