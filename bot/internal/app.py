"""Puts the internal API together, for the app that also serves health and metrics."""

from collections.abc import Callable, Sequence

from litestar import Router
from litestar.handlers import HTTPRouteHandler
from pydantic import SecretStr

from bot.desk import Desk
from bot.internal.actions import actions_route
from bot.internal.audit import audit_routes
from bot.internal.changes import changes_route
from bot.internal.gate import HANDLERS, only_services
from bot.internal.incidents import incident_routes
from bot.internal.logins import login_routes
from bot.internal.rules import rule_routes
from bot.internal.tokens import token_routes
from bot.internal.views import view_routes


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


def internal_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """All of them. The page asks what commands ask, so it may use the same."""
    return [
        *login_routes(desk.database, desk.people, desk.logins),
        *token_routes(desk.database, desk.people),
        *audit_routes(desk.database, desk.people),
        actions_route(desk.handling, desk.people, desk.acting.bridge),
        changes_route(desk.database),
        *incident_routes(desk.handling, desk.people, desk.links, desk.pulse.progress),
        *view_routes(desk.database, desk.people),
        *rule_routes(desk.rules, desk.board, desk.preview, desk.people),
    ]
