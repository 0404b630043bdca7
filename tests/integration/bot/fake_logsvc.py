"""logsvc as the bot knows it: a few resources of its API, over real HTTP."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.params import FromPath

from tests.ports import free_port
from tests.servers.serving import serving

HOUR_MS = 3_600_000


def _rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def _figures(queue: str, p95: float, added: int) -> dict[str, Any]:
    run = {"count": 1000, "p95": p95, "p99": p95}
    return {"source": "main", "queue": queue, "added": added, "completed": 20_000, "failed": 0, "run": run}


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
        self.completed = 0
        self.run_p95: dict[str, float] = {}
        """By queue of source main, in ms."""
        self.run_p95_now: dict[str, float] = {}
        self.added_now: dict[str, int] = {}
        """The same, and how many jobs came in, in an hour or less that has just ended; else as ever, and 1000."""
        self.looks = 0
        """How often the last minutes were asked for, which is the last of what a look at history asks."""
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

        @get("/api/v1/durations", sync_to_thread=False)
        def durations(request: Request[Any, Any, Any]) -> dict[str, Any]:
            found = self._over_time(request, {"completed": self.completed, "failed": 1, "retried": 2})
            start, end = (int(request.query_params[one]) for one in ("from", "to"))
            self.looks += end - start < HOUR_MS
            is_now = end - start <= HOUR_MS and time.time() * 1000 - end < HOUR_MS
            p95s = {**self.run_p95, **(self.run_p95_now if is_now else {})}
            added = self.added_now if is_now else {}
            return found | {"queues": [_figures(one, p95, added.get(one, 1000)) for one, p95 in p95s.items()]}

        @get("/api/v1/backlog", sync_to_thread=False)
        def backlog(request: Request[Any, Any, Any]) -> dict[str, Any]:
            return self._over_time(request, {"waiting": 5})

        @get("/api/v1/histogram", sync_to_thread=False)
        def histogram(request: Request[Any, Any, Any]) -> dict[str, Any]:
            return self._over_time(request, {"lost": 1})

        return Litestar(
            [queues, markers, jobs, job, errors, schedulers, logs, durations, backlog, histogram],
            openapi_config=None,
            logging_config=None,
        )

    def _over_time(self, request: Request[Any, Any, Any], numbers: dict[str, Any]) -> dict[str, Any]:
        """The same numbers in every part of the time that is asked for."""
        query = {name: int(value) for name, value in request.query_params.items() if value.isdecimal()}
        width = query.get("bucket", 900) * 1000
        start, end = query["from"] // width * width, -(-query["to"] // width) * width
        return {
            "items": [{"ts": _rfc3339(ts), **numbers} for ts in range(start, end, width)],
            "bucket_seconds": width // 1000,
            "from": _rfc3339(start),
            "to": _rfc3339(end),
            "markers": self.markers,
            "as_of": _rfc3339(query["to"]),
            "coverage": {"history_since": "2026-01-01T00:00:00Z", "events_lost": 1},
        }

    def _page(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return {"items": items, "next_cursor": None, "as_of": "2026-11-22T00:00:00Z", "coverage": {}}

    async def start(self) -> None:
        self._task = await serving(self._app(), self.port, self._stop)

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await self._task
