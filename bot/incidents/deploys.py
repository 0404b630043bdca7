"""Deploys as people mark them (`POST /api/v1/markers`), so that an alert tells the last one before it.

Read from history now and then and kept in memory: an alert waits for nobody.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from bot.incidents.machine import Deploy
from bot.logsvc import History, Refused
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.times import DAY_MS

log = structlog.get_logger("deploys")

READ_SECONDS = 10.0
LATELY_MS = DAY_MS
"""An older deploy is hardly the cause."""


@dataclass
class Deploys:
    """The newest ones of every env. Run `follow` as a supervised part."""

    history: History
    known: Sequence[tuple[str, Deploy]] = field(default=())

    async def follow(self, stop: asyncio.Event) -> None:
        """Read them now and then, until stop."""
        while not stop.is_set():
            try:
                self.known = await self.history.deploys()
            except (Unavailable, Refused) as failure:
                log.info("deploys_may_be_old", error=str(failure))
            await pause(stop, READ_SECONDS)

    def before(self, env: str, at_ms: int) -> Deploy | None:
        """The last deploy of an env before a time, if it was not long before."""
        mine = [one for where, one in self.known if where == env and at_ms - LATELY_MS <= one.at_ms <= at_ms]
        return max(mine, key=lambda one: one.at_ms, default=None)
