"""Puts the API's routes together, with health, metrics and the OpenAPI description."""

from collections.abc import Callable, Sequence

from litestar import Litestar, MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from prometheus_client import CollectorRegistry

from logsvc.api.answers import explainer
from tocsin import __version__
from tocsin.health import Health, health_routes

TOKEN = SecurityScheme(type="http", scheme="bearer", description="An operator's API token, or TOCSIN_SERVICE_TOKEN.")
MOST_BODY_BYTES = 1024 * 1024

DESCRIPTION = (
    "What happened in the BullMQ queues that Tocsin watches. Times are RFC 3339 UTC. Every answer says how old it is "
    "(`as_of`) and what it covers. The live stream is a WebSocket at `/api/v1/live`, and server-sent events at "
    "`/api/v1/live/sse`. Segments of a path are percent-encoded names: a slash in a job id is `%2F`."
)


def build_api(
    routes: Sequence[HTTPRouteHandler],
    health: Health,
    registry: CollectorRegistry,
    as_of: Callable[[], str | None],
) -> Litestar:
    """The Litestar app behind the front. as_of: up to when the history is complete."""

    return Litestar(
        [*routes, *health_routes(health, registry)],
        exception_handlers={Exception: explainer(as_of)},
        openapi_config=OpenAPIConfig(
            "Tocsin",
            __version__,
            description=DESCRIPTION,
            components=Components(security_schemes={"token": TOKEN}),
            path="/openapi.json",
            # Litestar's own default is a page that loads scripts from other sites into the origin of the job data.
            render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
        ),
        logging_config=None,
        request_max_body_size=MOST_BODY_BYTES,
    )
