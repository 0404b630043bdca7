"""Login: who comes in by a link or by a proxy, who goes, and whom to let in and whom no longer."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler

from bot.internal.gate import BASE, MOST_BYTES, Refused, read_body
from bot.people.logins import Logins
from bot.people.roster import People
from bot.store import audit, tickets, tokens
from bot.store.audit import Actor
from bot.store.database import Database, Session
from bot.store.tickets import BadTicket
from bot.store.times import wire, wire_or_none
from tocsin.access import AccessList, Arrival, Ended, EndRequest, KnownToken, Redeemed, RedeemRequest
from tocsin.roles import Role

WHY = {
    "unknown": (404, "this link was never given out"),
    "used": (410, "this link has been used"),
    "expired": (410, "this link is too old"),
    "revoked": (410, "this link was made before the person was logged out everywhere"),
}


def login_routes(database: Database, people: People, logins: Logins) -> list[HTTPRouteHandler]:
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
                role = await _role_now(session, people, holder.user_id, Role(holder.role))
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

    return [redeem, end, arrived, access]


async def _role_now(session: Session, people: People, user_id: str, made_with: Role) -> Role:
    """A person of Telegram has the role they hold now; others the one their link was made with."""
    own = await people.role_in(session, int(user_id)) if user_id.isdecimal() else None
    return own or made_with


def _until(text: str, logins: Logins) -> datetime:
    """When a session would end by itself; at most so far ahead as one can last."""
    latest = datetime.fromtimestamp(time.time(), UTC) + timedelta(hours=logins.login_hours)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "invalid", "until: expected a time, RFC 3339") from None
    return min(at, latest) if at.tzinfo else latest
