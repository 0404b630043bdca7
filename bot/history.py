"""History from logsvc by HTTP: each call behind the breaker, with a deadline that leaves time to answer otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from bot.queues import QueueState, from_api
from tocsin.breakers import Breakers, Unavailable
from tocsin.discovery import Directory
from tocsin.settings import Settings

LOGSVC = "logsvc"
ANSWER_SECONDS = 2.0
MOST_PAGES = 20
SICK = (
    httpx.HTTPError,
    httpx.InvalidURL,
    msgspec.ValidationError,
    Unavailable,
    LookupError,
    TypeError,
    ValueError,
)
"""What counts against the breaker: no answer, or one that is not what the API promises."""


class Refused(Exception):
    """logsvc is well, but does not answer this question. status: the HTTP status, 4xx."""

    def __init__(self, status: int, path: str) -> None:
        super().__init__(f"{status} {path}")
        self.status = status


class NotFound(Refused):
    """There is no such thing."""


@dataclass(frozen=True)
class FailedJobs:
    """Jobs as logsvc lists them. as_of: RFC 3339, everything up to then is in; None = logsvc does not know."""

    items: list[dict[str, Any]]
    as_of: str | None


@dataclass(frozen=True)
class Page:
    """Rows as logsvc lists them. as_of: as in FailedJobs."""

    items: list[dict[str, Any]]
    as_of: str | None


class History:
    """logsvc's API, as far as the bot asks it."""

    def __init__(self, settings: Settings, directory: Directory, breakers: Breakers, client: httpx.AsyncClient) -> None:
        token = settings.tocsin_service_token
        self._headers = {"authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        self._directory = directory
        self._breakers = breakers
        self._client = client

    async def queues(self) -> list[QueueState]:
        """Every queue. Raises Unavailable, also when the answer is not what we know how to read."""
        async with self._breakers.guard(LOGSVC, timeout=ANSWER_SECONDS, errors_that_count=SICK):
            found: list[QueueState] = []
            cursor: str | None = None
            for _ in range(MOST_PAGES):
                page = await self._get("queues", {"limit": "1000", **({"cursor": cursor} if cursor else {})})
                found += [from_api(item) for item in page["items"]]
                cursor = page.get("next_cursor")
                if not cursor:
                    break
            return found

    async def failed_jobs(self, source: str, queue: str, limit: int) -> FailedJobs:
        """The newest failed jobs, of one queue or of all; source empty: of any. Raises Unavailable or Refused."""
        wanted = {name: value for name, value in (("source", source), ("queue", queue)) if value}
        # The API divides names at commas: such a queue is picked out here.
        has_comma = any("," in value for value in wanted.values())
        query = {"state": "failed", **({"limit": "1000"} if has_comma else {"limit": str(limit), **wanted})}
        async with self._breakers.guard(LOGSVC, timeout=ANSWER_SECONDS, errors_that_count=SICK):
            page = await self._get("jobs", query)
            items: list[dict[str, Any]] = page["items"]
            mine = [one for one in items if all(one[name] == value for name, value in wanted.items())]
            return FailedJobs(mine[:limit], page.get("as_of"))

    async def errors(self, source: str, queue: str, limit: int) -> Page:
        """Failures of the last day in groups of one cause, the most failures for good first. Raises as failed_jobs."""
        named = {name: value for name, value in (("source", source), ("queue", queue)) if value}
        return await self._page("errors", {"sort": "final_failures", "limit": str(limit), **named})

    async def schedulers(self, source: str, queue: str, limit: int) -> Page:
        """Job schedulers, of one queue or of all. Raises as failed_jobs."""
        named = {name: value for name, value in (("source", source), ("queue", queue)) if value}
        return await self._page("schedulers", {"limit": str(limit), **named})

    async def _page(self, path: str, query: Mapping[str, str]) -> Page:
        if any("," in value for value in query.values()):
            raise Refused(400, path)  # the API divides names at commas, and would answer for others
        async with self._breakers.guard(LOGSVC, timeout=ANSWER_SECONDS, errors_that_count=SICK):
            page = await self._get(path, query)
            return Page(list(page["items"]), page.get("as_of"))

    async def job(self, source: str, queue: str, job_id: str) -> dict[str, Any]:
        """One job with its attempts. Raises NotFound, Refused or Unavailable."""
        path = "/".join(("jobs", *(quote(part, safe="") for part in (source, queue, job_id))))
        async with self._breakers.guard(LOGSVC, timeout=ANSWER_SECONDS, errors_that_count=SICK):
            return await self._get(path, {})

    async def probe(self) -> None:
        """Raise if logsvc does not answer."""
        await self._get("queues", {"limit": "1"})

    async def _get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        base = self._directory.url_of(LOGSVC)
        if base is None:
            raise Unavailable(LOGSVC, "no address known")
        answer = await self._client.get(f"{base}/api/v1/{path}", params=dict(query), headers=self._headers)
        if answer.is_client_error:
            raise (NotFound if answer.status_code == 404 else Refused)(answer.status_code, path)
        answer.raise_for_status()
        return answer.json()
