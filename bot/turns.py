"""Whose turn it is to poll Telegram, which lets only one hear: of several bots on one database, one has the lease.

Everything else they do side by side. While Postgres does not tell whose turn it is, who polled goes on, and who has
never been told polls too: two that get in each other's way are better than nobody who answers.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import structlog

from bot.errors import TelegramError, Unreachable
from bot.metrics import Metrics
from bot.store.database import Database
from bot.store.leases import Lease, give_up, take
from bot.telegram import TELEGRAM, Telegram
from tocsin.breakers import Breakers, Unavailable
from tocsin.health import Health
from tocsin.lifecycle import pause

log = structlog.get_logger("turns")

POLLING = "polling"
LEASE_SECONDS = 8.0
RENEW_SECONDS = 2.0
STANDBY_SECONDS = 1.0
"""Silent for a lease, and found out within this: the next one has it after 9 s, and of the 15 s that are promised 6 are
left for a slow Postgres and the start of the poll. A holder may miss two renewals."""
PATIENCE_SECONDS = 5.0
"""What Postgres and its tables get at our start to tell whose turn it is, before we poll without being told."""
TELEGRAM_SECONDS = 10.0
ANSWER_SECONDS = 2.0


@dataclass
class Turns:
    """One for the process. listen: poll until its event is set."""

    database: Database
    telegram: Telegram
    breakers: Breakers
    health: Health
    metrics: Metrics
    listen: Callable[[asyncio.Event], Awaitable[None]]
    me: str = field(default_factory=lambda: uuid4().hex)
    has_tables: asyncio.Event = field(default_factory=asyncio.Event)
    lease: Lease | None = None
    clock: Callable[[], float] = time.monotonic
    _asked_at: float = -TELEGRAM_SECONDS
    _renewed_at: float | None = None
    """When the holder was heard of last, by our clock."""

    @property
    def is_ours(self) -> bool:
        """Whether we are to poll: by what Postgres said last."""
        return self.lease is None or self.lease.holder == self.me

    async def run(self, stop: asyncio.Event) -> None:
        """Poll whenever it is our turn, until stop; then let the next one have it."""
        await self._await_tables(stop)
        while not stop.is_set():
            await self._ask_whose()
            if self.is_ours:
                await self._poll(stop)
            else:
                await self._stand_by()
                await pause(stop, STANDBY_SECONDS)
        await self._give_up()

    async def _await_tables(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(self.has_tables.wait()), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait(waits, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _poll(self, stop: asyncio.Event) -> None:
        """Poll and renew, until stop or until it is another's turn."""
        over = asyncio.Event()
        self.metrics.is_polling.set(1)
        silent = None if self._renewed_at is None else round(self.clock() - self._renewed_at, 3)
        log.info("our_turn_to_poll", fence=self.lease.fence if self.lease else None, silent_seconds=silent)
        polling = asyncio.ensure_future(self.listen(over))
        try:
            while self.is_ours and not stop.is_set() and not polling.done():
                await pause(stop, RENEW_SECONDS)
                if not stop.is_set():
                    await self._ask_whose()
        finally:
            over.set()
            self.metrics.is_polling.set(0)
            await polling
        if not stop.is_set():
            log.warning("anothers_turn_to_poll", fence=self.lease.fence if self.lease else None)

    async def _ask_whose(self) -> None:
        if not self.has_tables.is_set():
            return
        try:
            async with self.database.transaction(timeout=ANSWER_SECONDS) as session:
                self.lease = await take(session, POLLING, self.me, timedelta(seconds=LEASE_SECONDS))
            if not self.is_ours:
                self._renewed_at = self.clock() - (LEASE_SECONDS - self.lease.left_seconds)
        except Unavailable as failure:
            log.info("turn_not_known", error=str(failure), polling=self.is_ours)

    async def _stand_by(self) -> None:
        """See now and then that Telegram answers us, so that whoever asks whether we are ready is told the truth."""
        if self.clock() - self._asked_at < TELEGRAM_SECONDS:
            return
        self._asked_at = self.clock()
        try:
            async with self.breakers.guard(TELEGRAM, errors_that_count=(Unreachable,)):
                await self.telegram.me()
            self.health.ok(TELEGRAM)
        except (TelegramError, Unavailable) as failure:
            log.warning("telegram_not_reached", error=str(failure))

    async def _give_up(self) -> None:
        if self.lease is None or self.lease.holder != self.me:
            return
        try:
            async with self.database.transaction(timeout=ANSWER_SECONDS) as session:
                await give_up(session, POLLING, self.me)
        except Unavailable as failure:
            log.info("turn_not_given_up", error=str(failure))
