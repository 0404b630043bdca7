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

log = structlog.get_logger("logsvc.coverage")

REFRESH_SECONDS = 5.0
STALE_SECONDS = 15.0
"""Older than that it is not told: ClickHouse does not answer."""

ROWS_ONLY = {"optimize_use_projections": 0}
"""Gaps are few: the column of events tells sooner where there are none than counts by the minute do."""

WEEK_MS = 7 * 24 * 3600 * 1000
OLDEST = "SELECT min(ts) AS oldest, count() AS n, version() AS clickhouse FROM journal"
LOST = "SELECT env, source, queue, sum(lost) AS lost FROM journal WHERE event = 'gap' GROUP BY env, source, queue"
GAPS = (
    "SELECT ts, env, source, queue, lost FROM journal WHERE event = 'gap' AND ts >= {since:Int64}"
    " ORDER BY ts DESC LIMIT 100"
)


@dataclass(frozen=True)
class Known:
    """oldest: ts of the oldest row, None = no rows. lost: events, by (env, source, queue). gaps: of the last week.

    clickhouse: its version.
    """

    oldest: int | None
    lost: Mapping[tuple[str, str, str], int]
    gaps: Sequence[Mapping[str, Any]]
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
        [oldest] = await self._store.query(OLDEST)
        lost = await self._store.query(LOST, settings=ROWS_ONLY)
        gaps = await self._store.query(GAPS, {"since": int(time.time() * 1000) - WEEK_MS}, settings=ROWS_ONLY)
        return Known(
            int(oldest["oldest"]) if oldest["n"] else None,
            {(str(row["env"]), str(row["source"]), str(row["queue"])): int(row["lost"]) for row in lost},
            gaps,
            str(oldest["clickhouse"]),
        )
