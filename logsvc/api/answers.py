"""What every answer has in common: how old it is, what it covers, and how a refusal is worded."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.params import Parameter, QueryParameter

from logsvc.auth.bot import BotRefused
from logsvc.auth.who import Denied
from logsvc.errors import BadRequest, NotReadyYet, QueryTooHeavy, StoreDown
from tocsin.breakers import Unavailable

log = structlog.get_logger("logsvc.api")

T = TypeVar("T")

RETRY_AFTER_SECONDS = 5
MOST_ITEMS = 1000

ANY_NAME = "A name as it is, commas and spaces too; repeat it for any of several."
ANY_WORD = "Repeat it, or separate values by commas; any of them."
Names = Annotated[list[str] | None, Parameter(description=ANY_NAME)]
Words = Annotated[list[str] | None, Parameter(description=ANY_WORD)]
States = Annotated[list[str] | None, QueryParameter(name="state", description=ANY_WORD)]
FromTime = Annotated[
    str | None, QueryParameter(name="from", description="Not earlier than: RFC 3339, or ms since 1970.")
]
ToTime = Annotated[str | None, QueryParameter(name="to", description="Earlier than: RFC 3339, or ms since 1970.")]
Limit = Annotated[int, Parameter(ge=1, le=MOST_ITEMS, description="Most items of this page.")]
Segment = Annotated[str, Parameter(description="The name, percent-encoded: a slash in it is `%2F`.")]
CursorText = Annotated[str | None, QueryParameter(name="cursor", description="next_cursor of the page before.")]
Text = Annotated[str | None, QueryParameter(name="q", description="Text to look for, without regard to case.")]


class Coverage(msgspec.Struct):
    """history_since: the oldest row kept. events_lost: events trimmed in Redis before anyone read them, in the time and
    queues asked for (to the minute); null = not known now."""

    history_since: str | None
    events_lost: int | None


class Page(msgspec.Struct, Generic[T]):
    """A page of results. next_cursor: null on the last page. as_of: everything up to then is in; null = not known."""

    items: list[T]
    next_cursor: str | None
    as_of: str | None
    coverage: Coverage


def refuse_unknown(request: Request[Any, Any, Any], known: Iterable[str]) -> None:
    """Raise BadRequest for a parameter we do not have: a mistyped filter must not pass for none."""
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        raise BadRequest(f"{unknown[0]}: no such parameter; there are {', '.join(sorted(known))}")


def explainer(as_of: Callable[[], str | None]) -> Callable[[Request[Any, Any, Any], Exception], Response[Any]]:
    """What turns an error into an answer: `{"detail": …}`, with Retry-After where waiting helps.

    as_of: up to when the history is complete, told when it cannot be asked.
    """

    def explain(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        match error:
            case BadRequest():
                return _refusal(400, str(error))
            case QueryTooHeavy():
                return _refusal(422, "this question takes too long; narrow the time or the queues")
            case NotReadyYet():
                return _later({"detail": str(error)})
            case StoreDown():
                detail = "history is not available now; queues and the live stream are"
                return _later({"detail": detail, "as_of": as_of()})
            case Denied():
                return _refusal(error.status, error.detail)
            case BotRefused():
                return _bot_refusal(error)
            case Unavailable():
                return _later({"detail": f"{error.dependency} does not answer now"})
            case HTTPException():
                return Response({"detail": error.detail}, status_code=error.status_code, headers=error.headers)
            case _:
                log.error("request_failed", path=request.url.path, error=type(error).__name__, exc_info=error)
                return _refusal(500, "something went wrong; the log says what")

    return explain


def _refusal(status: int, detail: str) -> Response[Any]:
    return Response({"detail": detail}, status_code=status)


def _bot_refusal(refused: BotRefused) -> Response[Any]:
    """In the bot's words, and with its word for programs."""
    body = {"detail": str(refused), "error": refused.error, **({"mend": refused.mend} if refused.mend else {})}
    headers = {"retry-after": refused.retry_after} if refused.retry_after else {}
    return Response(body, status_code=refused.status, headers=headers)


def _later(body: dict[str, Any]) -> Response[Any]:
    return Response(body, status_code=503, headers={"retry-after": str(RETRY_AFTER_SECONDS)})
