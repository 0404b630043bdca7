"""Login links on a real Postgres, of bots whose memory of roles is some seconds old."""

from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import httpx
from litestar import Litestar
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.commands.login import Login
from bot.delivery.messages import Ask
from bot.desk import Desk
from bot.internal.logins import login_routes
from bot.people.logins import Logins
from bot.people.roster import People
from bot.settings import BotSettings
from bot.store import people, tickets
from bot.store.database import Database
from tests.integration.bot.incident_rows import ADMIN, ANN
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.roles import Role
from tocsin.settings import read

LOGINS = Logins("https://tocsin.example.com", 10, 12)


async def test_a_link_of_who_was_just_revoked_logs_in_a_viewer_whatever_a_bot_remembers(engine: AsyncEngine) -> None:
    database = Database(engine, Breakers(read(BotSettings, BASE), CollectorRegistry()), timeout=60)
    old = People(frozenset((ADMIN,)), granted={ANN: Role.ADMIN})
    desk = cast(Desk, SimpleNamespace(database=database, people=old, logins=LOGINS))
    bot = httpx.ASGITransport(Litestar(login_routes(database, old, LOGINS)))  # pyright: ignore[reportArgumentType]  # any ASGI app does

    async def role_after_login() -> str:
        ask = Ask(ANN, ANN, is_private=True, text="/login", role=Role.ADMIN)
        told = (await Login().answer(ask, "", desk)).text
        ticket = told.partition("ticket=")[2][:43]
        async with httpx.AsyncClient(transport=bot, base_url="http://bot") as client:
            answer = await client.post("/internal/v1/login/redeem", json={"ticket": ticket, "address": ""})
        role = str(answer.json()["role"])
        assert role in told
        return role

    async with AsyncSession(engine) as session, session.begin():
        await people.grant(session, ANN, Role.ADMIN, "1")
    assert await role_after_login() == "admin"
    async with AsyncSession(engine) as session, session.begin():
        await people.revoke(session, ANN)
        await tickets.end_all(session, str(ANN), timedelta(hours=12))
    assert await role_after_login() == "viewer"
