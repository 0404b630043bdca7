"""Login, API tokens, who may no longer, and the audit: what logsvc asks about people."""

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from bot.internal.gate import Refused, read_body
from bot.people.logins import Logins
from bot.people.roster import People
from bot.store import audit, tickets, tokens
from bot.store.audit import Actor
from bot.store.database import Database
from bot.store.models import ApiToken, AuditRow
from bot.store.tickets import BadTicket
from bot.store.times import wire, wire_or_none
from tocsin.access import (
    AccessList,
    Arrival,
    AuditItem,
    Ended,
    EndRequest,
    KnownToken,
    NewToken,
    PauseItem,
    Redeemed,
    RedeemRequest,
    TokenItem,
)
from tocsin.roles import Role

BASE = "/internal/v1"
MOST_BYTES = 16 * 1024
MOST_AUDIT = 500
LONGEST_NAME = 100
WHY = {
    "unknown": (404, "this link was never given out"),
    "used": (410, "this link has been used"),
    "expired": (410, "this link is too old"),
    "revoked": (410, "this link was made before the person was logged out everywhere"),
}


def access_routes(database: Database, people: People, logins: Logins) -> list[HTTPRouteHandler]:
    """The routes, bound to what they ask."""

    @post(f"{BASE}/login/redeem", status_code=200, request_max_body_size=MOST_BYTES)
    async def redeem(request: Request[Any, Any, Any]) -> Redeemed:
        asked = await read_body(request, RedeemRequest)
        refusal: Refused | None = None
        async with database.transaction() as session:
            try:
                holder = await tickets.redeem(session, asked.ticket)
            except BadTicket as bad:
                actor = Actor(bad.user_id, bad.name, address=asked.address)
                await audit.note(session, actor, "login", "page", f"refused: {bad.why}")
                status, message = WHY[bad.why]
                refusal = Refused(status, bad.why, message)
            else:
                role = _role_now(people, holder.user_id, Role(holder.role))
                actor = Actor(holder.user_id, holder.name, role, asked.address)
                await audit.note(session, actor, "login", "page", "done")
                return Redeemed(
                    user_id=holder.user_id,
                    name=holder.name,
                    role=role,
                    issued_at=wire(holder.now),
                    expires_at=wire(holder.now + timedelta(hours=logins.login_hours)),
                )
        raise refusal

    @post(f"{BASE}/login/end", status_code=204, request_max_body_size=MOST_BYTES)
    async def end(request: Request[Any, Any, Any]) -> None:
        asked = await read_body(request, EndRequest)
        async with database.transaction() as session:
            if asked.everywhere:
                await tickets.end_all(session, asked.user_id, timedelta(hours=logins.login_hours))
            else:
                await tickets.end_session(session, asked.session_id, _until(asked.until, logins))
            action = "logout everywhere" if asked.everywhere else "logout"
            await audit.note(session, Actor(asked.user_id, asked.name, address=asked.address), action, "page", "done")

    @post(f"{BASE}/login/arrived", status_code=204, request_max_body_size=MOST_BYTES)
    async def arrived(request: Request[Any, Any, Any]) -> None:
        told = await read_body(request, Arrival)
        actor = Actor(told.user_id, told.name, told.role or "", told.address)
        outcome = f"done: by the proxy, {told.at}" if told.role else f"refused: LOGSVC_PROXY_ROLES, {told.at}"
        async with database.transaction() as session:
            begun = await audit.begin(session, actor, "login", "page", request_id=told.request_id, digest="")
            if begun is None:
                await audit.end(session, told.request_id, outcome)

    @get(f"{BASE}/access")
    async def access() -> AccessList:
        as_of = datetime.fromtimestamp(time.time(), UTC)
        async with database.transaction() as session:
            known = await tokens.good(session)
            over = await tickets.ended(session)
        return AccessList(
            as_of=wire(as_of),
            tokens=[
                KnownToken(
                    id=one.id,
                    name=one.name,
                    role=Role(one.role),
                    hash=one.hash,
                    expires_at=wire_or_none(one.expires_at),
                )
                for one in known
            ],
            ended=[Ended(subject=one.subject, at=wire(one.at)) for one in over],
        )

    @get(f"{BASE}/tokens")
    async def list_tokens() -> dict[str, list[TokenItem]]:
        async with database.transaction() as session:
            return {"items": [_item(one) for one in await tokens.listed(session)]}

    @post(f"{BASE}/tokens", status_code=201, request_max_body_size=MOST_BYTES)
    async def make_token(request: Request[Any, Any, Any]) -> TokenItem:
        asked = await read_body(request, NewToken)
        if not asked.name.strip() or len(asked.name) > LONGEST_NAME or not asked.name.isprintable():
            raise Refused(400, "invalid", f"name: expected 1 to {LONGEST_NAME} printable characters")
        if asked.days is not None and not 1 <= asked.days <= 3650:
            raise Refused(400, "invalid", "days: expected 1 to 3650, or null for a token that does not end")
        lasts = None if asked.days is None else timedelta(days=asked.days)
        try:
            async with database.transaction() as session:
                token, secret = await tokens.make(session, asked.name, asked.role, by=asked.user_id, lasts=lasts)
                actor = Actor(asked.user_id, asked.user_name, asked.user_role or "", asked.address)
                await audit.note(session, actor, "token create", f"{token.id} {token.name}", f"done: {token.role}")
        except tokens.TooMany:
            message = f"there are {tokens.MOST} tokens; revoke some first"
            raise Refused(409, "too_many", message) from None
        return _item(token, secret)

    @delete(f"{BASE}/tokens/{{token_id:str}}", status_code=204)
    async def revoke_token(
        token_id: str,
        user_id: Annotated[str, Parameter(query="user_id")] = "",
        name: str = "",
        role: str = "",
        address: str = "",
    ) -> None:
        async with database.transaction() as session:
            gone = await tokens.revoke(session, token_id)
            if gone is not None:
                actor = Actor(user_id, name, role, address)
                await audit.note(session, actor, "token revoke", f"{token_id} {gone}", "done")
        if gone is None:
            raise Refused(404, "unknown_token", "there is no such token, or it was revoked before")

    @get(f"{BASE}/audit")
    async def read_audit(
        limit: int = 100, before: int | None = None, user_id: str = "", action: str = "", target: str = ""
    ) -> dict[str, Any]:
        if not 1 <= limit <= MOST_AUDIT:
            raise Refused(400, "invalid", f"limit: expected 1 to {MOST_AUDIT}")
        async with database.transaction() as session:
            rows = await audit.newest(
                session, limit=limit, before=before, user_id=user_id, action=action, target=target
            )
        items = [
            AuditItem(
                id=row.id,
                at=wire(row.at),
                user_id=row.user_id,
                name=row.name,
                role=row.role,
                action=row.action,
                target=row.target,
                outcome=row.outcome,
                address=row.address,
                request_id=row.request_id,
                reason=row.reason,
            )
            for row in rows
        ]
        return {"items": items, "next_before": items[-1].id if len(items) == limit else None}

    @get(f"{BASE}/pauses")
    async def read_pauses() -> dict[str, list[PauseItem]]:
        async with database.transaction() as session:
            return {"items": [_pause(row) for row in await audit.pauses(session)]}

    return [redeem, end, arrived, access, list_tokens, make_token, revoke_token, read_audit, read_pauses]


def _role_now(people: People, user_id: str, made_with: Role) -> Role:
    """A person of Telegram has the role they hold now; others the one their link was made with."""
    own = people.role_of(int(user_id)) if user_id.isdecimal() else None
    return own or made_with


def _until(text: str, logins: Logins) -> datetime:
    """When a session would end by itself; at most so far ahead as one can last."""
    latest = datetime.fromtimestamp(time.time(), UTC) + timedelta(hours=logins.login_hours)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "invalid", "until: expected a time, RFC 3339") from None
    return min(at, latest) if at.tzinfo else latest


def _pause(row: AuditRow) -> PauseItem:
    source, _, queue = row.target.partition("/")
    return PauseItem(source=source, queue=queue, by=row.name or row.user_id, at=wire(row.at), reason=row.reason)


def _item(token: ApiToken, secret: str | None = None) -> TokenItem:
    return TokenItem(
        id=token.id,
        name=token.name,
        role=Role(token.role),
        created_at=wire(token.created_at),
        created_by=token.created_by,
        expires_at=wire_or_none(token.expires_at),
        revoked_at=wire_or_none(token.revoked_at),
        token=secret,
    )
