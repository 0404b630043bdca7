"""What every answer has in common: how old it is, what it covers, and how a refusal is worded."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter, QueryParameter

from logsvc.auth.who import Denied
from logsvc.bot import BotRefused
from logsvc.errors import BadRequest, KafkaDown, NotReadyYet, QueryTooHeavy, StoreDown, TooMany
from logsvc.filters import LONGEST_TEXT
from tocsin.breakers import Unavailable

log = structlog.get_logger("logsvc.api")

T = TypeVar("T")

RETRY_AFTER_SECONDS = 5
RETRY = {"retry-after": str(RETRY_AFTER_SECONDS)}
MOST_ITEMS = 1000

TIME = {"format": "date-time"}
SEARCH = (
    'Words and "phrases" that must all be there, and -words that must not, without regard to case, in job id, job '
    "name, error, data and log line. A word with a digit in it is sought whole, any other also inside longer words."
)
ANY_NAME = "A name as it is, commas and spaces too; repeat it for any of several."
ANY_WORD = "Repeat it, or separate values by commas; any of them."
Names = Annotated[list[str] | None, Parameter(description=ANY_NAME)]
Words = Annotated[list[str] | None, Parameter(description=ANY_WORD)]
States = Annotated[list[str] | None, QueryParameter(name="state", description=ANY_WORD)]
FromTime = Annotated[
    str | None,
    QueryParameter(name="from", description="Not earlier than: RFC 3339, or ms since 1970.", schema_extra=TIME),
]
ToTime = Annotated[
    str | None, QueryParameter(name="to", description="Earlier than: RFC 3339, or ms since 1970.", schema_extra=TIME)
]
Limit = Annotated[int, Parameter(ge=1, le=MOST_ITEMS, description="Most items of this page.")]
Segment = Annotated[str, Parameter(description="The name, percent-encoded: a slash in it is `%2F`.")]
CursorText = Annotated[str | None, QueryParameter(name="cursor", description="next_cursor of the page before.")]
Text = Annotated[str | None, QueryParameter(name="q", description=SEARCH, schema_extra={"maxLength": LONGEST_TEXT})]


class Coverage(msgspec.Struct):
    """history_since: the oldest row kept. events_lost: events trimmed in Redis before anyone read them, in the time and
    queues asked for; null = not known now."""

    history_since: str | None
    events_lost: int | None


class Page(msgspec.Struct, Generic[T]):
    """A page of results. next_cursor: null on the last page. as_of: everything up to then is in; null = not known."""

    items: list[T]
    next_cursor: str | None
    as_of: str | None
    coverage: Coverage


class Refusal(msgspec.Struct):
    """Why a question is not answered, and what to do. as_of: up to when history is complete, while it is away."""

    detail: str
    as_of: str | None = None


MEANINGS = {
    400: "A parameter that does not exist, or is not what it should be.",
    401: "Who asks has to log in, or show a token.",
    403: "Not under this name, not to this page, or not with these rights.",
    404: "There is no such thing.",
    409: "It is not as the question takes it to be.",
    413: "The body is too large.",
    414: "The query string is too long.",
    422: "It would take too long: narrow the time or the queues.",
    429: "As many as are allowed are under way; `Retry-After` says when to come again.",
    503: "Not now: ClickHouse is away, or Tocsin has only just started. `Retry-After` says when to come again.",
}
MEMORY = (400, 401, 403, 414, 429, 503)
HISTORY = (*MEMORY, 422)


def refusals(*statuses: int) -> dict[int, ResponseSpec]:
    """These refusals, for the description of a route."""
    return {
        status: ResponseSpec(Refusal, generate_examples=False, description=MEANINGS[status])
        for status in sorted(statuses)
    }


OF_BOT = {
    **refusals(400, 401, 403, 404, 409, 413, 429),
    503: ResponseSpec(
        Refusal,
        generate_examples=False,
        description="Not now: the bot, or what it needs, does not answer. `Retry-After` says when to come again.",
    ),
}
"""Of what the bot answers; it may refuse in other words too, with a word for programs in `error`."""


class _Mistake(msgspec.Struct):
    message: str
    key: str = ""


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
            case TooMany():
                return Response({"detail": str(error)}, status_code=429, headers=RETRY)
            case NotReadyYet():
                return _later({"detail": str(error)})
            case StoreDown():
                detail = "history is not available now; queues and the live stream are"
                return _later({"detail": detail, "as_of": as_of()})
            case KafkaDown():
                return _later({"detail": "Kafka does not answer now"})
            case Denied():
                return _refusal(error.status, error.detail)
            case BotRefused():
                return _bot_refusal(error)
            case Unavailable():
                return _later({"detail": f"{error.dependency} does not answer now"})
            case ValidationException() if error.extra:
                return _refusal(400, _mistakes(error.extra))
            case RecursionError():
                return _refusal(400, "the body is nested too deeply")
            case HTTPException():
                return Response({"detail": error.detail}, status_code=error.status_code, headers=error.headers)
            case _:
                log.error("request_failed", path=request.url.path, error=type(error).__name__, exc_info=error)
                return _refusal(500, "something went wrong; the log says what")

    return explain


def _mistakes(extra: object) -> str:
    """What is wrong with which parameter or field, in one line. extra: as Litestar says it."""
    try:
        found = msgspec.convert(extra, list[_Mistake])
    except msgspec.ValidationError:
        return "the request was not understood"
    return "; ".join(f"{one.key or 'body'}: {one.message.replace('`', '')}" for one in found[:5])


def _refusal(status: int, detail: str) -> Response[Any]:
    return Response({"detail": detail}, status_code=status)


def _bot_refusal(refused: BotRefused) -> Response[Any]:
    """In the bot's words, and with its word for programs."""
    body: dict[str, Any] = {"detail": str(refused), "error": refused.error}
    body |= {name: told for name in ("mend", "progress") if (told := getattr(refused, name))}
    headers = {"retry-after": refused.retry_after} if refused.retry_after else {}
    return Response(body, status_code=refused.status, headers=headers)


def _later(body: dict[str, Any]) -> Response[Any]:
    return Response(body, status_code=503, headers=RETRY)
