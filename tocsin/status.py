"""`GET /status`: what a process of a service says of itself, for the page's System."""

from collections.abc import Callable

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from tocsin import __version__
from tocsin.breakers import Breakers
from tocsin.health import Health


class Status(msgspec.Struct, frozen=True):
    """missing: needs that are not met. breakers: by dependency. lag_seconds: how far behind it is; null = not known."""

    service: str
    version: str
    missing: list[str]
    breakers: dict[str, str]
    lag_seconds: float | None


def status_route(
    service: str, health: Health, breakers: Breakers, lag_seconds: Callable[[], float | None]
) -> HTTPRouteHandler:
    """The route, bound to what it tells of."""

    @get("/status", sync_to_thread=False, include_in_schema=False)
    def status() -> Status:
        return Status(service, __version__, health.missing(), dict(breakers.states()), lag_seconds())

    return status
