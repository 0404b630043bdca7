"""History from logsvc by HTTP: each call behind the breaker, with a deadline that leaves time to answer otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from bot.incidents.machine import Deploy
from bot.queues.course import Course, to_course
from bot.queues.state import QueueState, from_api
from bot.render.times import parse_rfc3339
from tocsin.bearer import shown
from tocsin.breakers import Breakers, Unavailable
from tocsin.discovery import Directory
from tocsin.settings import Settings
from tocsin.times import HOUR_MS

LOGSVC, FIGURES = "logsvc", "logsvc-figures"
ANSWER_SECONDS = 2.0
COURSE_SECONDS = 4.0
FIGURES_SECONDS = 20.0
HOUR_BUCKET, DAY_BUCKET = 60, 900
"""Seconds. Counts by the quarter of an hour are kept, so a day of them costs little."""
LOST_BUCKET = 300
LOOKS_BUCKET = 120
"""A queue is looked at once a minute: shorter parts would have holes."""
MOST_QUEUES = 1_000
"""logsvc tells figures of the busiest so many."""
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
    """Rows as logsvc lists them. as_of: as in FailedJobs. has_more: others follow these."""

    items: list[dict[str, Any]]
    as_of: str | None
    has_more: bool = False


@dataclass(frozen=True)
class QueueFigures:
    """A queue over some time. runs: attempts whose length is known; run_p95, run_p99: in ms, None = of none."""

    added: int
    completed: int
    failed: int
    runs: int
    run_p95: float | None
    run_p99: float | None


@dataclass(frozen=True)
class Figures:
    """Queues by source and name. is_cut: there are more. since_ms: history goes back so far. as_of_ms: all up to then
    is in; None = not known."""

    queues: Mapping[tuple[str, str], QueueFigures]
    is_cut: bool
    since_ms: int | None
    as_of_ms: int | None


class History:
    """logsvc's API, as far as the bot asks it."""

    def __init__(self, settings: Settings, directory: Directory, breakers: Breakers, client: httpx.AsyncClient) -> None:
        self._headers = shown(settings.tocsin_service_token)
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
        query = {"state": "failed", "limit": str(limit), **_named(source, queue)}
        async with self._breakers.guard(LOGSVC, timeout=ANSWER_SECONDS, errors_that_count=SICK):
            page = await self._get("jobs", query)
            return FailedJobs(list(page["items"]), page.get("as_of"))

    async def errors(self, source: str, queue: str, limit: int) -> Page:
        """Failures of the last day in groups of one cause, the most failures for good first. Raises as failed_jobs."""
        return await self._page("errors", {"sort": "final_failures", "limit": str(limit), **_named(source, queue)})

    async def schedulers(self, source: str, queue: str, limit: int) -> Page:
        """Job schedulers, of one queue or of all. Raises as failed_jobs."""
        return await self._page("schedulers", {"limit": str(limit), **_named(source, queue)})

    async def log_lines(self, source: str, queue: str, job_id: str, words: str, limit: int) -> Page:
        """The newest lines of a queue's jobs, or of one job; words: all of them in it. Raises as failed_jobs."""
        named = {name: value for name, value in (("job_id", job_id), ("q", words)) if value}
        query = {"kind": "log", "source": source, "queue": queue, "limit": str(limit), **named}
        return await self._page("logs", query)

    async def deploys(self) -> list[tuple[str, Deploy]]:
        """The newest marked deploys, with their env. Raises Unavailable or Refused."""
        async with self._breakers.guard(FIGURES, timeout=ANSWER_SECONDS, errors_that_count=SICK):
            page = await self._get("markers", {"limit": "100"})
            return [
                (str(one["env"]), Deploy(parse_rfc3339(one["ts"]), one["service"], one["version"], one["by"]))
                for one in page["items"]
            ]

    async def _page(self, path: str, query: Mapping[str, str]) -> Page:
        async with self._breakers.guard(LOGSVC, timeout=ANSWER_SECONDS, errors_that_count=SICK):
            page = await self._get(path, query)
            return Page(list(page["items"]), page.get("as_of"), bool(page.get("next_cursor")))

    async def figures(self, start_ms: int, end_ms: int) -> Figures:
        """What went on in every queue. It may take long, so it has a breaker of its own. Raises as failed_jobs."""
        # The time is cut at whole buckets, so they must be small beside it.
        bucket = 60 if end_ms - start_ms <= HOUR_MS else 3600
        query = {"from": str(start_ms), "to": str(end_ms), "bucket": str(bucket)}
        async with self._breakers.guard(FIGURES, timeout=FIGURES_SECONDS, errors_that_count=SICK):
            page = await self._get("durations", query, seconds=FIGURES_SECONDS)
            queues: list[dict[str, Any]] = page["queues"]
            since, as_of = page["coverage"]["history_since"], page["as_of"]
            return Figures(
                {(one["source"], one["queue"]): _figures(one) for one in queues},
                is_cut=len(queues) >= MOST_QUEUES,
                since_ms=parse_rfc3339(since) if since else None,
                as_of_ms=parse_rfc3339(as_of) if as_of else None,
            )

    async def events_lost(self, start_ms: int, end_ms: int) -> int:
        """How many events nobody could read in some time, give or take LOST_BUCKET. Raises as failed_jobs."""
        query = {"event": "gap", "by": "event", "bucket": str(LOST_BUCKET), "from": str(start_ms), "to": str(end_ms)}
        async with self._breakers.guard(LOGSVC, timeout=ANSWER_SECONDS, errors_that_count=SICK):
            found = await self._get("histogram", query)
            return sum(int(part["lost"]) for part in found["items"])

    async def course(self, one: QueueState, start_ms: int, end_ms: int) -> Course:
        """How a queue did over some time, and the deploys of its env. Raises as failed_jobs."""
        ends = HOUR_BUCKET if end_ms - start_ms <= HOUR_MS else DAY_BUCKET
        place = {"env": one.env, "source": one.source, "queue": one.queue, "from": str(start_ms), "to": str(end_ms)}
        async with self._breakers.guard(FIGURES, timeout=COURSE_SECONDS, errors_that_count=SICK):
            backlog = await self._get("backlog", {**place, "bucket": str(max(ends, LOOKS_BUCKET))})
            durations = await self._get("durations", {**place, "bucket": str(ends)})
            lost: dict[int, int] = {}
            if durations["coverage"]["events_lost"]:
                gaps = await self._get("histogram", {**place, "event": "gap", "by": "event", "bucket": str(ends)})
                lost = {parse_rfc3339(part["ts"]): part["lost"] for part in gaps["items"] if part["lost"]}
            return to_course(durations, backlog, lost)

    async def job(self, source: str, queue: str, job_id: str) -> dict[str, Any]:
        """One job with its attempts. Raises NotFound, Refused or Unavailable."""
        path = "/".join(("jobs", *(quote(part, safe="") for part in (source, queue, job_id))))
        async with self._breakers.guard(LOGSVC, timeout=ANSWER_SECONDS, errors_that_count=SICK):
            return await self._get(path, {})

    async def probe(self) -> None:
        """Raise if logsvc does not answer."""
        await self._get("queues", {"limit": "1"})

    async def _get(self, path: str, query: Mapping[str, str], *, seconds: float | None = None) -> dict[str, Any]:
        base = self._directory.url_of(LOGSVC)
        if base is None:
            raise Unavailable(LOGSVC, "no address known")
        limit = self._client.timeout if seconds is None else httpx.Timeout(seconds)
        answer = await self._client.get(
            f"{base}/api/v1/{path}", params=dict(query), headers=self._headers, timeout=limit
        )
        if answer.is_client_error:
            raise (NotFound if answer.status_code == 404 else Refused)(answer.status_code, path)
        answer.raise_for_status()
        return answer.json()


def _figures(one: Mapping[str, Any]) -> QueueFigures:
    run: Mapping[str, Any] = one["run"]
    return QueueFigures(one["added"], one["completed"], one["failed"], run["count"], run["p95"], run["p99"])


def _named(source: str, queue: str) -> dict[str, str]:
    """The filters of a queue; names hold commas as they are."""
    return {name: value for name, value in (("source", source), ("queue", queue)) if value}
