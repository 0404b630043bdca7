"""Saved views of the page: everybody has their own; operators share them; admins tidy up."""

from typing import Any

from litestar import Request, delete, get, post, put
from litestar.handlers import HTTPRouteHandler

from bot.incidents.failures import stored
from bot.incidents.machine import Person
from bot.internal.gate import Refused, read_body
from bot.internal.who import permit
from bot.people.roster import People
from bot.store import audit, views
from bot.store.audit import Actor
from bot.store.database import Database, Session
from bot.store.models import ViewRow
from bot.store.times import wire
from tocsin.incidents import MOST_NAME, MOST_QUERY, Asker, NewView, ViewItem
from tocsin.roles import Role

BASE = "/internal/v1/views"
MOST_BYTES = 64 * 1024


def view_routes(database: Database, people: People) -> list[HTTPRouteHandler]:
    """The routes, bound to what they ask."""

    @get(BASE)
    async def listed(user_id: str = "") -> dict[str, list[ViewItem]]:
        async with database.transaction() as session:
            return {"items": [_item(one) for one in await views.visible_to(session, user_id)]}

    @post(BASE, status_code=201, request_max_body_size=MOST_BYTES)
    async def make(request: Request[Any, Any, Any]) -> ViewItem:
        asked = await read_body(request, NewView)
        who = await permit(database, people, asked, "view create", asked.title, _needs(asked))
        row = ViewRow(owner=who.known_as, owner_name=stored(who.name, MOST_NAME))
        try:
            async with database.transaction() as session:
                return await fill(session, row, asked, who, "view create")
        except views.TooMany:
            raise Refused(409, "too_many", f"you have {views.MOST_EACH} views; delete some first") from None

    @put(f"{BASE}/{{number:int}}", request_max_body_size=MOST_BYTES)
    async def change(request: Request[Any, Any, Any], number: int) -> ViewItem:
        asked = await read_body(request, NewView)
        who = await permit(database, people, asked, "view change", f"#{number}", _needs(asked))
        async with database.transaction() as session:
            row = await _own(session, number, who)
            return await fill(session, row, asked, who, "view change")

    @delete(f"{BASE}/{{number:int}}", status_code=204)
    async def remove(
        number: int, user_id: str = "", name: str = "", role: Role | None = None, address: str = ""
    ) -> None:
        asker = Asker(user_id=user_id, name=name, role=role, address=address)
        who = await permit(database, people, asker, "view delete", f"#{number}", Role.VIEWER)
        async with database.transaction() as session:
            row = await _own(session, number, who)
            await session.delete(row)
            await _audit(session, who, "view delete", row)

    async def fill(session: Session, row: ViewRow, wish: NewView, who: Person, action: str) -> ViewItem:
        row.name, row.query = stored(wish.title.strip(), MOST_NAME), stored(wish.query, MOST_QUERY)
        row.is_home, row.is_shared = wish.is_home, wish.shared
        await views.keep(session, row)
        await _audit(session, who, action, row)
        return _item(row)

    return [listed, make, change, remove]


def _needs(wish: NewView) -> Role:
    if not wish.title.strip():
        raise Refused(400, "invalid", "title: expected some letters")
    if (wish.query and not wish.query.startswith("/")) or wish.query.startswith("//"):
        raise Refused(400, "invalid", "query: expected the page's address from its path on, e.g. /logs?queue=mail")
    return Role.OPERATOR if wish.shared else Role.VIEWER


async def _own(session: Session, number: int, who: Person) -> ViewRow:
    """A view that this person may change. Another's private one is as if it were not there."""
    row = await views.hold(session, number) if 0 < number < 2**63 else None
    is_admin = who.role == Role.ADMIN
    if row is None or (row.owner != who.known_as and not row.is_shared and not is_admin):
        raise Refused(404, "unknown_view", f"there is no view #{number}")
    if row.owner != who.known_as and not is_admin:
        raise Refused(403, "forbidden", f"view #{number} is {row.owner_name}'s; an admin may change it")
    return row


async def _audit(session: Session, who: Person, action: str, row: ViewRow) -> None:
    actor = Actor.of(who)
    await audit.note(session, actor, action, f"#{row.id} {row.name}", "done")


def _item(row: ViewRow) -> ViewItem:
    return ViewItem(
        id=row.id,
        title=row.name,
        owner=row.owner,
        owner_name=row.owner_name,
        query=row.query,
        is_home=row.is_home,
        shared=row.is_shared,
        changed_at=wire(row.changed_at),
    )
