"""The bot's internal API, asked as logsvc asks it."""

from pathlib import Path
from typing import Any

import httpx

from tests.eventually import READY_SECONDS
from tests.integration.bot.house import Child, House

SERVICE_TOKEN = "service-token-of-the-test"


class Service:
    """What a service may do at one bot. `url` is the bot's."""

    def __init__(self, bot: Child) -> None:
        self.url = f"http://127.0.0.1:{bot.environ['BOT_PORT']}"

    async def __call__(
        self, method: str, path: str, *, token: str | None = SERVICE_TOKEN, body: Any = None
    ) -> httpx.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
            return await client.request(method, f"{self.url}/internal/v1/{path}", headers=headers, json=body)

    async def redeem(self, ticket: str, address: str = "203.0.113.7") -> httpx.Response:
        return await self("POST", "login/redeem", body={"ticket": ticket, "address": address})

    async def audit(self, **wanted: Any) -> list[dict[str, Any]]:
        """Rows, the newest first."""
        query = "&".join(f"{name}={value}" for name, value in wanted.items())
        return (await self("GET", f"audit?{query}")).raise_for_status().json()["items"]


async def by_hand(house: House, name: str, *arguments: str) -> tuple[int, str, str]:
    """Run `tocsin …` on the server; return exit status, output and what it said to the person."""
    child = Child(Path(house.folder / f"{name}.err"), "-m", "tocsin.cli", *arguments, environ=house.environ)
    return await child.run()
