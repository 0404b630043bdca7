"""`GET /api/v1/me`, and for admins `/api/v1/tokens` and `/api/v1/audit`, which are the bot's."""

from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, Parameter

from logsvc.api.answers import OF_BOT, refusals
from logsvc.auth.door import Door
from logsvc.auth.who import need, who_of
from logsvc.bot import Bot
from tocsin.access import AuditItem, NewToken, TokenItem
from tocsin.roles import Role
from tocsin.times import rfc3339


class Me(msgspec.Struct, kw_only=True):
    """kind: session, proxy, token, service, or local (nobody logs in here). csrf_token: for the header X-CSRF-Token of
    a write; null where none is needed. expires_at: when this session ends; null = not by itself. trace_url_template:
    TRACE_URL_TEMPLATE, for the page's "Open trace". has_bot: whether there is one to ask for incidents and actions."""

    user_id: str
    name: str
    role: Role
    kind: str
    can_log_out: bool
    csrf_token: str | None
    expires_at: str | None
    trace_url_template: str | None
    has_bot: bool


class TokenWish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """days: how long the token is good; null = until it is revoked."""

    name: str
    role: Role = Role.VIEWER
    days: int | None = None


class Tokens(msgspec.Struct):
    """All tokens that are good, and the newest that are over: 1,000 in all. The newest first."""

    items: list[TokenItem]


class Audit(msgspec.Struct):
    """next_before: for the next page; null on the last."""

    items: list[AuditItem]
    next_before: int | None


def access_routes(door: Door, bot: Bot, trace_url_template: str | None = None) -> list[HTTPRouteHandler]:
    """The routes, bound to who lets in and to the bot."""

    @get(
        "/api/v1/me",
        summary="Who you are here, and what you may do",
        responses=refusals(401, 403, 414, 429),
        sync_to_thread=False,
    )
    def me(request: Request[Any, Any, Any]) -> Me:
        who = who_of(request.scope)
        return Me(
            user_id=who.user_id,
            name=who.name,
            role=who.role,
            kind=who.kind,
            can_log_out=who.session is not None,
            csrf_token=None if who.shows_secret else door.sessions.csrf_token(who),
            expires_at=rfc3339(who.session.expires_ms) if who.session else None,
            trace_url_template=trace_url_template,
            has_bot=bot.is_configured,
        )

    @get("/api/v1/tokens", summary="API tokens (admin)", responses=OF_BOT)
    async def tokens(request: Request[Any, Any, Any]) -> Tokens:
        need(request.scope, Role.ADMIN)
        return msgspec.json.decode((await bot.ask("GET", "tokens")).body, type=Tokens)

    @post("/api/v1/tokens", summary="Make an API token (admin); its secret is in this answer only", responses=OF_BOT)
    async def make_token(request: Request[Any, Any, Any], data: JSONBody[TokenWish]) -> TokenItem:
        who = need(request.scope, Role.ADMIN)
        wish = NewToken(
            name=data.name,
            role=data.role,
            days=data.days,
            user_id=who.user_id,
            user_name=who.name,
            user_role=who.role,
            address=who.address,
        )
        return msgspec.json.decode((await bot.ask("POST", "tokens", msgspec.json.encode(wish))).body, type=TokenItem)

    @delete("/api/v1/tokens/{token_id:str}", summary="Revoke an API token (admin)", responses=OF_BOT)
    async def revoke_token(
        request: Request[Any, Any, Any], token_id: Annotated[str, Parameter(pattern="^[0-9a-f]{1,32}$")]
    ) -> None:
        who = need(request.scope, Role.ADMIN)
        asked = {"user_id": who.user_id, "name": who.name, "role": who.role.value, "address": who.address}
        await bot.ask("DELETE", f"tokens/{token_id}", query=asked)

    @get("/api/v1/audit", summary="Who did what, the newest first (admin)", responses=OF_BOT)
    async def audit(
        request: Request[Any, Any, Any],
        limit: Annotated[int, Parameter(ge=1, le=500)] = 100,
        before: Annotated[
            int | None, Parameter(ge=0, le=2**63 - 1, description="next_before of the page before.")
        ] = None,
        target: Annotated[str, Parameter(max_length=1_000, description="Only of this: source/queue.")] = "",
    ) -> Audit:
        need(request.scope, Role.ADMIN)
        query = {"limit": str(limit), **({"before": str(before)} if before is not None else {})}
        if target:
            query["target"] = target
        return msgspec.json.decode((await bot.ask("GET", "audit", query=query)).body, type=Audit)

    return [me, tokens, make_token, revoke_token, audit]
