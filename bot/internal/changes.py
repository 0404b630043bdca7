"""Whether something of the bot's has changed: so the page asks for it then, and not every few seconds."""

from litestar import get
from litestar.handlers import HTTPRouteHandler

from bot.store.changes import read_changes
from bot.store.database import Database
from tocsin.refresh import Changes


def changes_route(database: Database) -> HTTPRouteHandler:
    """The route, bound to what it asks."""

    @get("/internal/v1/changes")
    async def changes() -> Changes:
        async with database.transaction() as session:
            return await read_changes(session)

    return changes
