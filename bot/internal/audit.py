"""The audit: who did what, who paused which queue, and what logsvc itself does for people: told before it is done, and
what came of it afterwards.
"""

from typing import Any

from litestar import Request, get, post, put
from litestar.handlers import HTTPRouteHandler

from bot.internal.gate import BASE, MOST_BYTES, Refused, read_body
from bot.internal.who import refusal_of, role_now
from bot.people.roster import People
from bot.store import audit
from bot.store.audit import Actor
from bot.store.database import Database
from bot.store.models import AuditRow
from bot.store.times import wire
from tocsin.access import AuditItem, Deed, DeedOutcome, PauseItem

MOST_AUDIT = 500


def audit_routes(database: Database, who: People) -> list[HTTPRouteHandler]:
    """The routes, bound to what they ask."""

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

    @post(f"{BASE}/audit", status_code=204, request_max_body_size=MOST_BYTES)
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

    @put(f"{BASE}/audit/{{request_id:str}}", status_code=204, request_max_body_size=MOST_BYTES)
    async def end(request: Request[Any, Any, Any], request_id: str) -> None:
        told = await read_body(request, DeedOutcome)
        async with database.transaction() as session:
            await audit.end(session, request_id, told.outcome)

    return [read_audit, read_pauses, begin, end]


def _pause(row: AuditRow) -> PauseItem:
    source, _, queue = row.target.partition("/")
    return PauseItem(source=source, queue=queue, by=row.name or row.user_id, at=wire(row.at), reason=row.reason)
