"""`GET /api/v1/exports/{name}`: how far a file is that was asked for by that name; `DELETE` ends it.

The replica that sends the file knows it, and no other: whoever asks through a proxy asks again.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from logsvc.api.answers import refusals
from logsvc.api.export import NAME, Export, Exports
from logsvc.auth.who import Denied, who_of

Name = Annotated[str, Parameter(pattern=NAME, description="What the file was asked for with.")]


class Progress(msgspec.Struct, kw_only=True):
    """rows: how many there will be; null where that could not be told in time. sent: how many were taken so far.
    is_over: nothing more is sent. incomplete: why that is not all; null = it is, or it is not over."""

    rows: int | None
    sent: int
    is_over: bool
    incomplete: str | None


def progress_routes(exports: Exports) -> list[HTTPRouteHandler]:
    """The routes, bound to the exports of this replica."""

    def known(request: Request[Any, Any, Any], name: str) -> Export | None:
        return exports.named(who_of(request.scope).user_id, name)

    @get(
        "/api/v1/exports/{name:str}",
        summary="How far a file of yours is; null = this replica sends none of that name",
        responses=refusals(400, 401, 403, 414, 429),
        sync_to_thread=False,
    )
    def progress(request: Request[Any, Any, Any], name: Name) -> Progress | None:
        export = known(request, name)
        return export and Progress(
            rows=export.rows, sent=export.sent, is_over=export.is_over, incomplete=export.incomplete or None
        )

    @delete(
        "/api/v1/exports/{name:str}",
        summary="End a file of yours; its last line says so",
        responses=refusals(400, 401, 403, 404, 414, 429),
        sync_to_thread=False,
    )
    def cancel(request: Request[Any, Any, Any], name: Name) -> None:
        export = known(request, name)
        if export is None:
            raise Denied(404, "this replica sends you no file of that name")
        export.cancel()

    return [progress, cancel]
