"""POST /internal/v1/actions: who may ask, what is answered, what is logged and counted."""

import hmac
import time
from typing import Any

import structlog
from litestar import Request, Response, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from pydantic import SecretStr

from bridge.actions.desk import Desk
from bridge.actions.request import ActionAnswer, ActionRefused, ActionRequest, body_of, parse
from bridge.metrics import Metrics

log = structlog.get_logger("bridge.actions")

PATH = "/internal/v1/actions"
MOST_BYTES = 4 * 1024 * 1024


def action_route(desk: Desk, token: SecretStr | None, metrics: Metrics) -> HTTPRouteHandler:
    """The one route of the actions API."""

    @post(PATH, status_code=200, include_in_schema=False, request_max_body_size=MOST_BYTES)
    async def actions(request: Request[Any, Any, Any]) -> Response[Any]:
        begun = time.monotonic()
        asked: ActionRequest | None = None
        try:
            _let_in(request.headers.get("authorization", ""), token)
            asked = parse(await _body(request))
            answer = await desk.handle(asked)
        except ActionRefused as refused:
            _tell(metrics, asked, refused.error, time.monotonic() - begun, refusal=str(refused))
            return _refusal(refused)
        except Exception as error:
            log.error("action_failed", error=type(error).__name__, exc_info=error)
            refused = ActionRefused(500, "internal", "something went wrong; the log of bridge says what")
            _tell(metrics, asked, refused.error, time.monotonic() - begun)
            return _refusal(refused)
        _tell(metrics, asked, "dry_run" if asked.dry_run else "done", time.monotonic() - begun, answer)
        return Response(answer)

    return actions


async def _body(request: Request[Any, Any, Any]) -> bytes:
    try:
        return await request.body()
    except HTTPException as error:
        raise ActionRefused(error.status_code, "too_large", f"a request has {MOST_BYTES} bytes at most") from None


def _let_in(header: str, token: SecretStr | None) -> None:
    if token is None:
        raise ActionRefused(
            503,
            "not_configured",
            "actions are not configured",
            mend="set TOCSIN_SERVICE_TOKEN, and an actions connection of a source",
        )
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise ActionRefused(401, "unauthorized", "send `Authorization: Bearer TOCSIN_SERVICE_TOKEN`")
    if not hmac.compare_digest(given.strip().encode(), token.get_secret_value().encode()):
        raise ActionRefused(403, "forbidden", "this is not the TOCSIN_SERVICE_TOKEN of this service")


def _refusal(refused: ActionRefused) -> Response[Any]:
    headers: dict[str, str] = {}
    if refused.retry_after is not None:
        headers["retry-after"] = str(refused.retry_after)
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(body_of(refused), status_code=refused.status, headers=headers)


def _tell(
    metrics: Metrics,
    asked: ActionRequest | None,
    outcome: str,
    seconds: float,
    answer: ActionAnswer | None = None,
    refusal: str = "",
) -> None:
    """One line and one count a request; what was never read as one has no action."""
    action = asked.action if asked else "none"
    metrics.actions.labels(action, outcome).inc()
    metrics.action_seconds.labels(action).observe(seconds)
    if answer is not None and not answer.dry_run:
        for name, count in answer.outcomes.items():
            metrics.action_jobs.labels(action, name).inc(count)
    described: dict[str, Any] = {"outcome": outcome, "seconds": round(seconds, 3)}
    if asked is not None:
        described |= {name: getattr(asked, name) for name in ("request_id", "user_id", "action", "source", "queue")}
    if answer is not None:
        described["count"] = answer.count
    if refusal:
        described["reason"] = refusal
    (log.warning if refusal else log.info)("action", **described)
