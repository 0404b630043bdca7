"""What the history covers, held in memory: answered at once, also while ClickHouse hangs."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from logsvc.errors import LogsvcError
from logsvc.store import Store
from tocsin.lifecycle import pause
from tocsin.times import DAY_MS, LATEST_MS, current_ms

log = structlog.get_logger("logsvc.coverage")

REFRESH_SECONDS = 5.0
STALE_SECONDS = 15.0
"""Older than that it is not told: ClickHouse does not answer."""

GAP_TS = "if(event = 'gap', ts, 0)"
"""When a gap was found, 0 for any other row: the projection `gaps` has it so."""
GAPS_WITHIN = (
    f"intDiv(ts, {DAY_MS}) >= intDiv({{gaps_from:Int64}}, {DAY_MS})"
    f" AND intDiv(ts, {DAY_MS}) <= intDiv({{gaps_to:Int64}}, {DAY_MS})"
    f" AND {GAP_TS} >= {{gaps_from:Int64}} AND {GAP_TS} < {{gaps_to:Int64}}"
)
"""A condition for the gaps of gaps_bounds(), in words that the projection `gaps` answers."""
ANY_ROWS = {"max_rows_to_read": 0}
"""Of gaps without a limit of rows: every answer says what was lost, and that few gaps need few rows no limit knows."""

LISTED = 100
WEEK_MS = 7 * DAY_MS
OLDEST = "SELECT min(ts) AS oldest, count() AS n, version() AS clickhouse FROM journal"
LOST = f"SELECT env, source, queue, sum(lost) AS lost FROM journal WHERE {GAPS_WITHIN} GROUP BY env, source, queue"
BY_ENV = f"SELECT env, count() AS gaps, sum(lost) AS lost FROM journal WHERE {GAPS_WITHIN} GROUP BY env"
GAPS = (
    f"SELECT {GAP_TS} AS at, env, source, queue, sum(lost) AS lost FROM journal WHERE {GAPS_WITHIN}"
    f" GROUP BY at, env, source, queue ORDER BY at DESC, env, source, queue LIMIT {LISTED} BY env"
)
"""The newest of each environment: one that loses much takes no room from another."""


def gaps_bounds(earliest: int | None, latest: int | None) -> dict[str, int]:
    """What GAPS_WITHIN asks, earliest <= ts < latest; None = open."""
    return {"gaps_from": max(1, earliest or 0), "gaps_to": LATEST_MS if latest is None else latest}


@dataclass(frozen=True)
class Losses:
    """All of the last week in one environment: gaps, and the events lost in them."""

    env: str
    gaps: int
    lost: int


@dataclass(frozen=True)
class Known:
    """oldest: ts of the oldest row, None = no rows. lost: events, by (env, source, queue). clickhouse: its version.

    gaps: of the last week, the newest LISTED of each environment. week: all of them, counted.
    """

    oldest: int | None
    lost: Mapping[tuple[str, str, str], int]
    gaps: Sequence[Mapping[str, Any]]
    week: Sequence[Losses]
    clickhouse: str = ""

    def lost_of(self, wanted: Mapping[str, Sequence[str]]) -> int:
        """Events lost in the sets of env, source and queue asked for; an empty set asks nothing."""
        sets = [wanted.get(name, ()) for name in ("env", "source", "queue")]
        return sum(
            lost
            for key, lost in self.lost.items()
            if all(not allowed or name in allowed for allowed, name in zip(sets, key, strict=True))
        )


class HistoryCoverage:
    """Asks ClickHouse now and then. clock: seconds, never set back."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: Known | None = None
        self._asked_at = 0.0

    @property
    def known(self) -> Known | None:
        """What is known; None where ClickHouse has not told it lately."""
        return self._known if self._clock() - self._asked_at < STALE_SECONDS else None

    async def run(self, stop: asyncio.Event) -> None:
        """Keep it fresh until stop is set. A question that hangs is waited for, not asked again beside."""
        while not await pause(stop, REFRESH_SECONDS if self._known else 1.0):
            asked_at = self._clock()
            try:
                self._known = await self._ask()
                self._asked_at = asked_at
            except LogsvcError as error:
                self._known = None
                log.info("coverage_unknown", reason=str(error))

    async def _ask(self) -> Known:
        week = gaps_bounds(current_ms() - WEEK_MS, None)
        [oldest] = await self._store.query(OLDEST)
        lost = await self._store.query(LOST, gaps_bounds(None, None), settings=ANY_ROWS)
        gaps = await self._store.query(GAPS, week, settings=ANY_ROWS)
        by_env = await self._store.query(BY_ENV, week, settings=ANY_ROWS)
        return Known(
            int(oldest["oldest"]) if oldest["n"] else None,
            {(str(row["env"]), str(row["source"]), str(row["queue"])): int(row["lost"]) for row in lost},
            gaps,
            [Losses(str(row["env"]), int(row["gaps"]), int(row["lost"])) for row in by_env],
            str(oldest["clickhouse"]),
        )
