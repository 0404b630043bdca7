"""Puts the internal API together, for the app that also serves health and metrics."""

from collections.abc import Callable, Sequence

from litestar import Router
from litestar.handlers import HTTPRouteHandler
from pydantic import SecretStr

from bot.internal.gate import HANDLERS, only_services


def internal_router(
    routes: Sequence[HTTPRouteHandler], token: SecretStr | None, has_tables: Callable[[], bool]
) -> Router:
    """Routes that only services may call, once there are tables."""
    return Router(
        "/",
        route_handlers=list(routes),
        guards=[only_services(token, has_tables)],
        exception_handlers=HANDLERS,
        include_in_schema=False,
    )
