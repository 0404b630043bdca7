"""What all of the internal API has in common: who is let in, how a body is read, how a refusal is worded."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from pydantic import SecretStr

from tocsin.access import Complaint
from tocsin.bearer import bearer, is_secret
from tocsin.breakers import Unavailable

log = structlog.get_logger("internal")

BASE = "/internal/v1"
MOST_BYTES = 16 * 1024
"""Of a body without a list of jobs."""
RETRY_AFTER_SECONDS = 5
T = TypeVar("T")


class Refused(Exception):
    """A request that is not carried out. retry_after: seconds, where waiting helps."""

    def __init__(
        self, status: int, error: str, message: str, *, mend: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = Complaint(error=error, message=message, mend=mend)
        self.retry_after = retry_after


def only_services(token: SecretStr | None, has_tables: Callable[[], bool]) -> Any:
    """A guard that lets in who shows the service token, and nobody while none is set, or while there are no tables.

    Others ask as soon as they run: that a bot has only just started is nobody's fault, and no line in the log.
    """

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        if token is None:
            mend = "set TOCSIN_SERVICE_TOKEN, the same for all services"
            raise Refused(503, "not_configured", "the bot has no TOCSIN_SERVICE_TOKEN", mend=mend)
        given = bearer(connection.headers.get("authorization", ""))
        if given is None:
            raise Refused(401, "unauthorized", "send `Authorization: Bearer TOCSIN_SERVICE_TOKEN`")
        if not is_secret(given, token):
            raise Refused(403, "forbidden", "this is not the TOCSIN_SERVICE_TOKEN of the bot")
        if not has_tables():
            message = "the bot has only just started: its tables are not ready"
            raise Refused(503, "starting", message, retry_after=RETRY_AFTER_SECONDS)

    return guard


async def read_body(request: Request[Any, Any, Any], struct: type[T]) -> T:
    """The body as this struct. Raises Refused that names the field."""
    try:
        return msgspec.json.decode(await request.body(), type=struct)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "invalid", str(error).replace("`$.", "`")) from None


def _refuse(_request: Request[Any, Any, Any], refused: Refused) -> Response[Any]:
    headers: dict[str, str] = {}
    if refused.retry_after is not None:
        headers["retry-after"] = str(refused.retry_after)
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(refused.body, status_code=refused.status, headers=headers)


def _unavailable(request: Request[Any, Any, Any], failure: Unavailable) -> Response[Any]:
    log.warning("request_waits", path=request.url.path, error=str(failure))
    error = f"{failure.dependency}_unavailable"
    message = f"{failure.dependency} does not answer now"
    return _refuse(request, Refused(503, error, message, retry_after=RETRY_AFTER_SECONDS))


def _http(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    complaint = Complaint(error="too_large" if error.status_code == 413 else "invalid", message=error.detail)
    return Response(complaint, status_code=error.status_code, headers=error.headers)


def _bug(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log.error("request_failed", path=request.url.path, error=type(error).__name__, exc_info=error)
    return Response(
        Complaint(error="internal", message="something went wrong; the bot's log says what"), status_code=500
    )


HANDLERS: dict[int | type[Exception], Any] = {
    Refused: _refuse,
    Unavailable: _unavailable,
    HTTPException: _http,
    Exception: _bug,
}
"""How an error becomes an answer."""
