"""API tokens: listed; made and revoked by admins."""

from datetime import timedelta
from typing import Any

from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler

from bot.internal.gate import BASE, MOST_BYTES, Refused, read_body
from bot.internal.who import permit
from bot.people.roster import People
from bot.store import audit, tokens
from bot.store.audit import Actor
from bot.store.database import Database
from bot.store.models import ApiToken
from bot.store.times import wire, wire_or_none
from tocsin.access import NewToken, TokenItem
from tocsin.incidents import Asker
from tocsin.roles import Role

LONGEST_NAME = 100


def token_routes(database: Database, people: People) -> list[HTTPRouteHandler]:
    """The routes, bound to what they ask. A token outlives the login of who makes it: their role is looked at anew."""

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
        asker = Asker(
            user_id=asked.user_id,
            name=asked.user_name,
            role=asked.user_role or Role.ADMIN,  # logsvc of a release before says none, and asks for admins only
            address=asked.address,
        )
        who = await permit(database, people, asker, "token create", asked.name, Role.ADMIN)
        try:
            async with database.transaction() as session:
                token, secret = await tokens.make(session, asked.name, asked.role, by=asked.user_id, lasts=lasts)
                await audit.note(
                    session, Actor.of(who), "token create", f"{token.id} {token.name}", f"done: {token.role}"
                )
        except tokens.TooMany:
            message = f"there are {tokens.MOST} tokens; revoke some first"
            raise Refused(409, "too_many", message) from None
        return _item(token, secret)

    @delete(f"{BASE}/tokens/{{token_id:str}}", status_code=204)
    async def revoke_token(
        token_id: str,
        user_id: str = "",
        name: str = "",
        role: Role = Role.ADMIN,
        address: str = "",
    ) -> None:
        asker = Asker(user_id=user_id, name=name, role=role, address=address)
        who = await permit(database, people, asker, "token revoke", token_id, Role.ADMIN)
        async with database.transaction() as session:
            gone = await tokens.revoke(session, token_id)
            if gone is not None:
                await audit.note(session, Actor.of(who), "token revoke", f"{token_id} {gone}", "done")
        if gone is None:
            raise Refused(404, "unknown_token", "there is no such token, or it was revoked before")

    return [list_tokens, make_token, revoke_token]


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
