"""What logsvc itself does for people, in the audit: told before it is done, and what came of it afterwards."""

from typing import Any

from litestar import Request, post, put
from litestar.handlers import HTTPRouteHandler

from bot.internal.gate import Refused, read_body
from bot.internal.who import refusal_of, role_now
from bot.people.roster import People
from bot.store import audit
from bot.store.audit import Actor
from bot.store.database import Database
from tocsin.access import Deed, DeedOutcome

MOST_BYTES = 16 * 1024


def deed_routes(database: Database, who: People) -> list[HTTPRouteHandler]:
    """The routes, bound to what they need."""

    @post("/internal/v1/audit", status_code=204, request_max_body_size=MOST_BYTES)
    async def begin(request: Request[Any, Any, Any]) -> None:
        deed = await read_body(request, Deed)
        async with database.transaction() as session:
            role = await role_now(session, who, deed.user_id, deed.role)
            actor = Actor(deed.user_id, deed.name, role or "", deed.address)
            refusal = refusal_of(role)
            if refusal is not None:
                await audit.note(session, actor, deed.action, deed.target, f"refused: {refusal.body.message}")
            else:
                begun = await audit.begin(
                    session, actor, deed.action, deed.target, request_id=deed.request_id, digest=deed.digest
                )
                if begun not in (None, deed.digest):
                    refusal = Refused(409, "conflict", "this request_id asked for something else")
        if refusal is not None:
            raise refusal

    @put("/internal/v1/audit/{request_id:str}", status_code=204, request_max_body_size=MOST_BYTES)
    async def end(request: Request[Any, Any, Any], request_id: str) -> None:
        told = await read_body(request, DeedOutcome)
        async with database.transaction() as session:
            await audit.end(session, request_id, told.outcome)

    return [begin, end]
