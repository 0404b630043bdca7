"""What the bot answers for the page: incidents, rules, silences, saved views, and who paused a queue.

Its answers go on as they came, and so does what people send it, with who they are. The bot checks what it is sent,
decides who may do it, and writes the audit. Reads are for viewers, writes for operators, but for what changes nothing
of others: a preview, and views that are not shared.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, Parameter

from logsvc.api.answers import OF_BOT, CursorText, Limit, Names, States, refuse_unknown
from logsvc.auth.who import Who, need, who_of
from logsvc.bot import ANSWER_SECONDS, Bot, Told
from logsvc.errors import BadRequest
from tocsin.access import PauseItem
from tocsin.incidents import IncidentItem, IncidentPage, PreviewPage, RuleItem, SilenceItem, ViewItem
from tocsin.roles import Role

MOST_BYTES = 64 * 1024
PREVIEW_SECONDS = 30.0
"""A rule is tried on a day of history."""
NUMBER = "^[0-9]{1,18}$"
NAME = "^[A-Za-z0-9_][A-Za-z0-9._:~-]{0,199}$"

Asked = Request[Any, Any, Any]
T = TypeVar("T")
Id = Annotated[str, Parameter(pattern=NUMBER, description="As the list tells it.")]
RuleName = Annotated[str, Parameter(pattern=NAME, description="As the list tells it.")]
Body = JSONBody[dict[str, Any]]


class Items(msgspec.Struct, Generic[T]):
    """All there are."""

    items: list[T]


def bot_routes(bot: Bot) -> list[HTTPRouteHandler]:
    """The routes, bound to the bot."""
    return [*_incidents(bot), *_silences(bot), *_rules(bot), *_views(bot), _pauses(bot)]


def _pauses(bot: Bot) -> HTTPRouteHandler:
    @get("/api/v1/pauses", summary="Who paused which queue by Tocsin, and why", responses=OF_BOT)
    async def pauses(request: Asked) -> Response[Items[PauseItem]]:
        refuse_unknown(request, ())
        return _passed_on(await bot.ask("GET", "pauses"))

    return pauses


def _incidents(bot: Bot) -> list[HTTPRouteHandler]:
    known = ("state", "env", "source", "queue", "fingerprint", "cursor", "limit")

    @get("/api/v1/incidents", summary="Incidents, the newest first", responses=OF_BOT)
    async def incidents(
        request: Asked,
        states: States = None,
        env: Names = None,
        source: Names = None,
        queue: Names = None,
        fingerprint: Names = None,
        cursor: CursorText = None,
        limit: Limit = 100,
    ) -> Response[IncidentPage]:
        del states, env, source, queue, fingerprint, cursor, limit  # checked here, read there
        refuse_unknown(request, known)
        return _passed_on(await bot.ask("GET", "incidents", query=_asked(request)))

    @get("/api/v1/incidents/{incident_id:str}", summary="One incident, with what was said of it", responses=OF_BOT)
    async def incident(request: Asked, incident_id: Id) -> Response[IncidentItem]:
        refuse_unknown(request, ())
        return _passed_on(await bot.ask("GET", f"incidents/{incident_id}"))

    def acting(verb: str, summary: str) -> HTTPRouteHandler:
        @post(
            f"/api/v1/incidents/{{incident_id:str}}/{verb}",
            name=f"incident_{verb}",
            operation_id=f"incident_{verb}",
            status_code=200,
            summary=f"{summary} (operator)",
            responses=OF_BOT,
            request_max_body_size=MOST_BYTES,
        )
        async def act(request: Asked, incident_id: Id, data: JSONBody[dict[str, Any] | None] = None) -> Response[Any]:
            return await _send(bot, request, "POST", f"incidents/{incident_id}/{verb}", data)

        return act

    return [
        incidents,
        incident,
        acting("ack", "Say that you have it"),
        acting("unack", "Give it back"),
        acting("resolve", "Say that it is over"),
        acting("note", "Write a note: `text`"),
    ]


def _silences(bot: Bot) -> list[HTTPRouteHandler]:
    @get("/api/v1/silences", summary="What does not ring now, and until when", responses=OF_BOT)
    async def silences(request: Asked) -> Response[Items[SilenceItem]]:
        refuse_unknown(request, ())
        return _passed_on(await bot.ask("GET", "silences"))

    @post(
        "/api/v1/silences", summary="Silence something (operator)", responses=OF_BOT, request_max_body_size=MOST_BYTES
    )
    async def silence(request: Asked, data: Body) -> Response[SilenceItem]:
        return await _send(bot, request, "POST", "silences", data)

    @delete(
        "/api/v1/silences/{silence_id:str}", status_code=200, summary="Let it ring again (operator)", responses=OF_BOT
    )
    async def unsilence(request: Asked, silence_id: Id) -> Response[Any]:
        return await _remove(bot, request, f"silences/{silence_id}")

    return [silences, silence, unsilence]


def _rules(bot: Bot) -> list[HTTPRouteHandler]:
    @get("/api/v1/rules", summary="What rings, and when", responses=OF_BOT)
    async def rules(request: Asked) -> Response[Items[RuleItem]]:
        refuse_unknown(request, ())
        return _passed_on(await bot.ask("GET", "rules"))

    @put(
        "/api/v1/rules/{rule_id:str}",
        summary="Change a rule (operator)",
        responses=OF_BOT,
        request_max_body_size=MOST_BYTES,
    )
    async def change_rule(request: Asked, rule_id: RuleName, data: Body) -> Response[RuleItem]:
        return await _send(bot, request, "PUT", f"rules/{rule_id}", data)

    @post(
        "/api/v1/rules/preview",
        status_code=200,
        summary="What would have rung with such a rule",
        responses=OF_BOT,
        request_max_body_size=MOST_BYTES,
    )
    async def preview(request: Asked, data: Body) -> Response[PreviewPage]:
        return await _send(bot, request, "POST", "rules/preview", data, Role.VIEWER, seconds=PREVIEW_SECONDS)

    return [rules, change_rule, preview]


def _views(bot: Bot) -> list[HTTPRouteHandler]:
    @get("/api/v1/views", summary="Saved views of the page", responses=OF_BOT)
    async def views(request: Asked) -> Response[Items[ViewItem]]:
        refuse_unknown(request, ())
        return _passed_on(await bot.ask("GET", "views", query=_who_asks(who_of(request.scope))))

    @post(
        "/api/v1/views",
        summary="Save a view (a shared one: operator)",
        responses=OF_BOT,
        request_max_body_size=MOST_BYTES,
    )
    async def save_view(request: Asked, data: Body) -> Response[ViewItem]:
        return await _send(bot, request, "POST", "views", data, _keeps(data))

    @put(
        "/api/v1/views/{view_id:str}",
        summary="Change a view of yours (a shared one: operator)",
        responses=OF_BOT,
        request_max_body_size=MOST_BYTES,
    )
    async def change_view(request: Asked, view_id: Id, data: Body) -> Response[ViewItem]:
        return await _send(bot, request, "PUT", f"views/{view_id}", data, _keeps(data))

    @delete("/api/v1/views/{view_id:str}", status_code=200, summary="Forget a view of yours", responses=OF_BOT)
    async def forget_view(request: Asked, view_id: Id) -> Response[Any]:
        return await _remove(bot, request, f"views/{view_id}", Role.VIEWER)

    return [views, save_view, change_view, forget_view]


def _keeps(view: Mapping[str, Any]) -> Role:
    """Who may keep such a view. Whose it is, and whether it was shared before, the bot knows."""
    return Role.OPERATOR if view.get("shared") else Role.VIEWER


async def _send(
    bot: Bot,
    request: Asked,
    method: str,
    path: str,
    data: dict[str, Any] | None,
    needs: Role = Role.OPERATOR,
    *,
    seconds: float = ANSWER_SECONDS,
) -> Response[Any]:
    """Pass a body on, with who sends it: a body that says so itself is refused."""
    asks = _who_asks(need(request.scope, needs))
    refuse_unknown(request, ())
    if said := sorted(asks.keys() & (data or {}).keys()):
        raise BadRequest(f"{said[0]}: leave it out; who you are is known by your login, and a view's name is its title")
    return _passed_on(await bot.ask(method, path, msgspec.json.encode({**(data or {}), **asks}), seconds=seconds))


async def _remove(bot: Bot, request: Asked, path: str, needs: Role = Role.OPERATOR) -> Response[Any]:
    asks = _who_asks(need(request.scope, needs))
    refuse_unknown(request, ())
    return _passed_on(await bot.ask("DELETE", path, query=asks))


def _who_asks(who: Who) -> dict[str, str]:
    return {"user_id": who.user_id, "name": who.name, "role": who.role.value, "address": who.address}


def _asked(request: Asked) -> Mapping[str, Sequence[str]]:
    return {name: request.query_params.getall(name) for name in request.query_params}


def _passed_on(told: Told) -> Response[Any]:
    return Response(told.body or b"{}", status_code=told.status if told.body else 200, media_type="application/json")
