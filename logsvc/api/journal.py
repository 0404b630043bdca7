"""Questions to the journal: conditions from filters, widening windows of time, and what the history covers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from logsvc.api.answers import Coverage
from logsvc.coverage import ANY_ROWS, GAPS_WITHIN, gaps_bounds
from logsvc.errors import BadRequest
from logsvc.filters import values
from logsvc.schema.words import SearchIndex
from logsvc.store import Store
from logsvc.times import parse_time
from tocsin.times import rfc3339_or_none

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WINDOWS = (MINUTE, 15 * MINUTE, 2 * HOUR, 12 * HOUR, 2 * DAY, 10 * DAY)
SETS = ("env", "service", "source", "queue", "job_id", "level", "state", "kind")
"""Filters that are a set of values of the column of that name."""


ROWS_ONLY = {"optimize_use_projections": 0}
"""To consider projections costs more than to find a few rows, and counts by the minute do not help there."""


@dataclass
class Where:
    """A condition: SQL of ours, and people's values bound by name."""

    clauses: list[str] = field(default_factory=list[str])
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(self, clause: str, **parameters: Any) -> "Where":
        self.clauses.append(clause)
        self.parameters.update(parameters)
        return self

    def copy(self) -> "Where":
        return Where(list(self.clauses), dict(self.parameters))

    def __str__(self) -> str:
        return " AND ".join(self.clauses) or "1"


def sets(asked: Mapping[str, Sequence[str] | None]) -> Where:
    """The filters that name sets of values."""
    where = Where()
    for name, given in asked.items():
        if found := values(name, given):
            where.add(f"{name} IN {{{name}:Array(String)}}", **{name: found})
    return where


@dataclass(frozen=True)
class Range:
    """earliest <= ts < latest, ms; None = open."""

    earliest: int | None
    latest: int | None


def time_range(start: str | None, end: str | None) -> Range:
    """Read `from` and `to`. Raises BadRequest."""
    earliest = parse_time("from", start) if start else None
    latest = parse_time("to", end) if end else None
    if earliest is not None and latest is not None and earliest > latest:
        raise BadRequest("from: later than to")
    return Range(earliest, latest)


def closed(asked: Range, since: int | None, now: int, *, usually: int) -> tuple[int, int]:
    """The range with both its ends, within what there can be rows of: (earliest, latest), latest not included.

    usually: how many ms back it goes where nothing is said.
    """
    latest = min(asked.latest if asked.latest is not None else now, now + DAY)
    earliest = asked.earliest if asked.earliest is not None else latest - usually
    oldest = since if since is not None else latest - usually
    return min(max(earliest, oldest), latest), latest


def window_starts(top: int, bottom: int) -> list[int]:
    """Where to look next when the newest window held too little, ending at bottom."""
    starts = [top - window for window in WINDOWS if top - window > bottom]
    return [*starts, bottom]


class Journal:
    """The history, asked by the API. as_of: tells up to when everything is stored, ms; None = not known."""

    def __init__(self, store: Store, as_of: Callable[[], int | None], now: Callable[[], float]) -> None:
        self._store = store
        self._as_of = as_of
        self._now = now

    @property
    def search_index(self) -> SearchIndex | None:
        """How this ClickHouse has texts indexed; None = not known yet."""
        return self._store.search_index

    def now_ms(self) -> int:
        return int(self._now() * 1000)

    def as_of(self) -> str | None:
        """Up to when everything is stored. Take it before the first question: the answers hold what was stored then."""
        return rfc3339_or_none(self._as_of())

    async def ask(self, sql: str, where: Where, *, rows: bool = False) -> list[dict[str, Any]]:
        """Answers of a question. rows: it is about single rows, for which no projection needs to be considered."""
        return await self._store.query(sql, where.parameters, settings=ROWS_ONLY if rows else None)

    async def since(self) -> int | None:
        """ts of the oldest row; None when there is none. Answered from ClickHouse's own bookkeeping."""
        found = await self._store.query("SELECT min(ts) AS oldest, count() AS n FROM journal")
        return int(found[0]["oldest"]) if found and found[0]["n"] else None

    async def coverage(self, asked: Range, where: Where, since: int | None) -> Coverage:
        """What the answer covers. where: the sets of env, source and queue asked for."""
        lost = where.copy().add(GAPS_WITHIN, **gaps_bounds(asked.earliest, asked.latest))
        sql = f"SELECT sum(lost) AS lost FROM journal WHERE {lost}"
        found = await self._store.query(sql, lost.parameters, settings=ANY_ROWS)
        return Coverage(rfc3339_or_none(since), int(found[0]["lost"]))
