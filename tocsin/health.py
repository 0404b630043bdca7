"""`/health/live`, `/health/ready` and `/metrics`, the same on every service.

Live: the loop turns. Ready: started, every dependency answered recently, and not draining; the answer names what is
missing and shows no exception text.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from litestar import Litestar, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

RECENT_SECONDS = 30.0


class Health:
    """What a service knows of itself. Parts report with `ok(name)`; a need that is silent for too long is missing."""

    def __init__(
        self, *needs: str, clock: Callable[[], float] = time.monotonic, recent_seconds: float = RECENT_SECONDS
    ) -> None:
        self._clock = clock
        self._recent_seconds = recent_seconds
        self._last_ok: dict[str, float | None] = dict.fromkeys(needs)
        self._is_lasting: set[str] = set()
        self.is_draining = False
        self.degraded: Callable[[], Sequence[str]] = tuple
        """Names what does not work, though the service goes on without it; told beside, it makes nothing unready."""

    def ok(self, name: str, *, lasting: bool = False) -> None:
        """Say that a need is met now; lasting = for good, until `lost` is called."""
        self._last_ok[name] = self._clock()
        (self._is_lasting.add if lasting else self._is_lasting.discard)(name)

    def lost(self, name: str) -> None:
        """Say that a need is not met."""
        self._last_ok[name] = None
        self._is_lasting.discard(name)

    def missing(self) -> list[str]:
        """Names of needs not met recently, sorted; `draining` while the service stops."""
        now = self._clock()
        late = [
            name
            for name, at in self._last_ok.items()
            if at is None or (name not in self._is_lasting and now - at > self._recent_seconds)
        ]
        return sorted([*late, *(["draining"] if self.is_draining else [])])


def health_routes(health: Health, registry: CollectorRegistry) -> list[HTTPRouteHandler]:
    """Route handlers to mount beside a service's own."""

    @get("/health/live", sync_to_thread=False, include_in_schema=False)
    def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/health/ready", sync_to_thread=False, include_in_schema=False)
    def ready() -> Response[dict[str, Any]]:
        missing = health.missing()
        body: dict[str, Any] = {"status": "not ready" if missing else "ready", "missing": missing}
        if degraded := list(health.degraded()):
            body["degraded"] = degraded
        return Response(body, status_code=503 if missing else 200)

    @get("/metrics", sync_to_thread=True, include_in_schema=False)
    def metrics() -> Response[bytes]:
        """In a thread: with a thousand queues it takes most of a second, in which the loop must turn."""
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return [live, ready, metrics]


def health_app(health: Health, registry: CollectorRegistry, more: Sequence[HTTPRouteHandler | Router] = ()) -> Litestar:
    """An app for a service that serves nothing else, or few routes more."""
    return Litestar([*health_routes(health, registry), *more], openapi_config=None, logging_config=None)
