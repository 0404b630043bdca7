"""The bot's internal API, as far as logsvc asks it: login, tokens, the audit, actions, incidents."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
import msgspec

from logsvc.settings import LogsvcSettings
from tocsin.access import AccessList, Arrival, Complaint, EndRequest, Redeemed, RedeemRequest
from tocsin.bearer import shown
from tocsin.breakers import Breakers, Unavailable
from tocsin.discovery import Directory
from tocsin.refresh import Changes

BOT = "bot"
UNSEEN = "the bot"
"""Another name, so that the breaker of BOT does not count it."""
ANSWER_SECONDS = 4.0
ACT_SECONDS = 50.0
"""The bot waits 45 s for the bridge."""
SICK = (httpx.HTTPError, msgspec.MsgspecError, UnicodeError)
T = TypeVar("T")

Query = Mapping[str, str | Sequence[str]]
"""Parameters; several values of one are several parameters."""


class BotRefused(Exception):
    """The bot is well and does not do it. error: a word, as its docs tell."""

    def __init__(self, status: int, complaint: Complaint, retry_after: str = "") -> None:
        super().__init__(complaint.message)
        self.status = status
        self.error = complaint.error
        self.mend = complaint.mend
        self.progress = complaint.progress
        self.retry_after = retry_after


@dataclass(frozen=True)
class Told:
    """An answer as it came."""

    status: int
    body: bytes


class Bot:
    """Any replica of the bot. Every call raises Unavailable when none answers, BotRefused when it says no."""

    def __init__(
        self, settings: LogsvcSettings, directory: Directory, breakers: Breakers, client: httpx.AsyncClient
    ) -> None:
        self.is_configured = settings.tocsin_service_token is not None
        self._headers = shown(settings.tocsin_service_token)
        self._directory = directory
        self._breakers = breakers
        self._client = client
        self._was_seen = False

    async def redeem(self, ticket: str, address: str) -> Redeemed:
        """Use up a login link."""
        body = msgspec.json.encode(RedeemRequest(ticket=ticket, address=address))
        return await self._read("POST", "login/redeem", Redeemed, body)

    async def end(self, asked: EndRequest) -> None:
        """Let a session end for every replica."""
        await self.ask("POST", "login/end", msgspec.json.encode(asked))

    async def arrived(self, arrival: Arrival) -> None:
        """Let the audit hold that a proxy let somebody in; the same again is the same row."""
        await self.ask("POST", "login/arrived", msgspec.json.encode(arrival))

    async def access(self) -> AccessList:
        """Whom to let in by a token, and whom no longer."""
        return await self._read("GET", "access", AccessList)

    async def changes(self) -> Changes:
        """Whether what the bot keeps has changed."""
        return await self._read("GET", "changes", Changes)

    async def probe(self) -> None:
        """Raise if no bot answers."""
        await self._send("GET", "access", b"", {}, ANSWER_SECONDS)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        query: Query | None = None,
        *,
        seconds: float = ANSWER_SECONDS,
    ) -> Told:
        """Ask for something and hand the answer on."""
        if not self.is_configured:
            raise BotRefused(503, NOT_CONFIGURED)
        async with self._guard(seconds):
            return await self._send(method, path, body, query or {}, seconds)

    @asynccontextmanager
    async def _guard(self, seconds: float) -> AsyncGenerator[None]:
        """The breaker and a deadline. A bot that nobody has seen yet is not ill, but still starting.

        That it is not there counts for nothing then, so the first login after its start is not refused.
        """
        if self._directory.url_of(BOT) is None:
            raise Unavailable(BOT, "no address known")
        async with self._breakers.guard(BOT, timeout=seconds, errors_that_count=SICK):
            try:
                yield
            except httpx.ConnectError as error:
                if self._was_seen:
                    raise
                raise Unavailable(UNSEEN, "it has not answered yet") from error

    async def _read(self, method: str, path: str, struct: type[T], body: bytes = b"") -> T:
        if not self.is_configured:
            raise BotRefused(503, NOT_CONFIGURED)
        async with self._guard(ANSWER_SECONDS):
            told = await self._send(method, path, body, {}, ANSWER_SECONDS)
            return msgspec.json.decode(told.body, type=struct)

    async def _send(self, method: str, path: str, body: bytes, query: Query, seconds: float) -> Told:
        base = self._directory.url_of(BOT)
        if base is None:
            raise Unavailable(BOT, "no address known")
        answer = await self._client.request(
            method,
            f"{base}/internal/v1/{path}",
            content=body,
            params=dict(query),
            headers={**self._headers, "content-type": "application/json"},
            timeout=httpx.Timeout(seconds, connect=min(seconds, ANSWER_SECONDS)),
        )
        self._was_seen = True
        if answer.is_success:
            return Told(answer.status_code, answer.content)
        try:
            complaint = msgspec.json.decode(answer.content, type=Complaint)
        except msgspec.MsgspecError:
            if answer.status_code == 404:  # a bot of a release before, which does not know what is asked, is well
                raise BotRefused(404, NOT_THERE) from None
            raise  # what is no complaint is no bot
        raise BotRefused(answer.status_code, complaint, answer.headers.get("retry-after", ""))


NOT_THERE = Complaint(error="not_there", message="this bot does not know that", mend="upgrade the bot, too")
NOT_CONFIGURED = Complaint(
    error="not_configured",
    message="logsvc has no TOCSIN_SERVICE_TOKEN, so it cannot ask the bot",
    mend="set TOCSIN_SERVICE_TOKEN, the same for all services",
)
