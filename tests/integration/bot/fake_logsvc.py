"""logsvc as the bot knows it: a few resources of its API, over real HTTP."""

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.params import FromPath

from tests.ports import free_port
from tocsin.http import serve_http


class FakeLogsvc:
    """Answers what `queues`, `failed` and `jobs` hold."""

    def __init__(self) -> None:
        self.queues: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] = []
        self.jobs: dict[str, Mapping[str, Any]] = {}
        self.errors: list[dict[str, Any]] = []
        self.schedulers: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        self.asked_lines: list[dict[str, str]] = []
        self.markers: list[dict[str, Any]] = []
        self.port = free_port()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def _app(self) -> Litestar:
        @get("/api/v1/queues", sync_to_thread=False)
        def queues() -> dict[str, Any]:
            return self._page(self.queues)

        @get("/api/v1/jobs", sync_to_thread=False)
        def jobs() -> dict[str, Any]:
            return self._page(self.failed)

        @get("/api/v1/jobs/{path:path}", sync_to_thread=False)
        def job(path: FromPath[str]) -> Response[Any]:
            found = self.jobs.get(path.strip("/"))
            return Response(found, status_code=200) if found else Response({"detail": "no"}, status_code=404)

        @get("/api/v1/errors", sync_to_thread=False)
        def errors() -> dict[str, Any]:
            return self._page(self.errors)

        @get("/api/v1/schedulers", sync_to_thread=False)
        def schedulers() -> dict[str, Any]:
            return self._page(self.schedulers)

        @get("/api/v1/logs", sync_to_thread=False)
        def logs(request: Request[Any, Any, Any]) -> dict[str, Any]:
            self.asked_lines.append(dict(request.query_params))
            return self._page(self.lines)

        @get("/api/v1/markers", sync_to_thread=False)
        def markers() -> dict[str, Any]:
            return self._page(self.markers)

        return Litestar(
            [queues, markers, jobs, job, errors, schedulers, logs], openapi_config=None, logging_config=None
        )

    def _page(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return {"items": items, "next_cursor": None, "as_of": "2026-11-22T00:00:00Z", "coverage": {}}

    async def start(self) -> None:
        self._task = asyncio.create_task(serve_http(self._app(), "127.0.0.1", self.port, self._stop))

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await self._task
