"""`POST /api/v1/actions`: retry, promote, remove, pause, resume. The bot checks, audits, and lets the bridge do it."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from logsvc.api.answers import OF_BOT
from logsvc.api.wishes import Outcomes, RequestId
from logsvc.auth.who import need
from logsvc.bot import ACT_SECONDS, Bot
from tocsin.roles import Role

MOST_BYTES = 4 * 1024 * 1024
MOST_JOBS = 10_000

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Failed(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Failed jobs, by all that is given. from, to: when they failed, RFC 3339 or ms since 1970; to is exclusive."""

    fingerprint: str | None = None
    name: str | None = None
    from_: str | int | None = msgspec.field(default=None, name="from")
    to: str | int | None = None


class ActionWish(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """request_id: yours; the same again does nothing again, so send it again after a 503; where its error is
    still_running, progress says how far it is. docs/actions.md says more.
    reason: why, in your words; it stands in the audit, and beside a queue that is paused.

    job_ids, or for retry a filter. dry_run: say what would be done, and do nothing.
    """

    request_id: RequestId
    action: Literal["retry", "promote", "remove", "pause", "resume"]
    source: Text
    queue: Text
    job_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_JOBS)] | None = None
    filter: Failed | None = None
    dry_run: bool = False
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class JobResult(msgspec.Struct, omit_defaults=True):
    """What became of one job."""

    job_id: str
    outcome: str
    message: str = ""


class QueueNow(msgspec.Struct):
    """Jobs in line, and those that run."""

    waiting: int
    active: int


class ActionOutcomes(Outcomes[JobResult], kw_only=True, omit_defaults=True):
    """Of a dry run alone: descendants: jobs that a removal would take along. queue: as it is, of pause and resume."""

    descendants: int = 0
    queue: QueueNow | None = None


def actions_route(bot: Bot) -> HTTPRouteHandler:
    """The route, bound to the bot."""

    @post(
        "/api/v1/actions",
        status_code=200,
        summary="Act on jobs or on a queue (operator)",
        responses=OF_BOT,
        request_max_body_size=MOST_BYTES,
    )
    async def actions(request: Request[Any, Any, Any], data: JSONBody[ActionWish]) -> Response[ActionOutcomes]:
        who = need(request.scope, Role.OPERATOR)
        asks = {"user_id": who.user_id, "name": who.name, "role": who.role.value, "address": who.address}
        wish: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(data))
        told = await bot.ask("POST", "actions", msgspec.json.encode({**wish, **asks}), seconds=ACT_SECONDS)
        return Response(msgspec.json.decode(told.body, type=ActionOutcomes))

    return actions
