"""Whose turn it is to poll Telegram, which lets only one hear: of several bots on one database, one has the lease.

Everything else they do side by side. While Postgres does not tell whose turn it is, who polled goes on, and who has
never been told polls too: one that answers from memory is better than nobody. But who has no lease that holds, and
meets another poller, gives way to it for a while: that one may know more, and two get in each other's way.
"""

import asyncio
import random
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
from tocsin.lifecycle import first_set, pause

log = structlog.get_logger("turns")

Listen = Callable[[asyncio.Event], Awaitable[None]]
"""Polls until the event is set."""

POLLING = "polling"
LEASE_SECONDS = 8.0
RENEW_SECONDS = 2.0
STANDBY_SECONDS = 1.0
"""Silent for a lease, and found out within this: the next one has it after 9 s, and of the 15 s that are promised 6 are
left for a slow Postgres and the start of the poll. A holder may miss two renewals."""
PATIENCE_SECONDS = 5.0
"""What Postgres and its tables get at our start to tell whose turn it is, before we poll without being told."""
GIVE_WAY_SECONDS = 20.0, 60.0
"""At least and at most; after that it is seen whether the other still polls. By the dice: two that both give way do not
come back at once."""
DEAF_SECONDS = 60.0
"""A poll that was answered nothing for so long: another may reach Telegram where we do not."""
LET_GO_SECONDS = 4.0
"""What the others get to take a lease that we have given away, before we may have it again."""
TELEGRAM_SECONDS = 10.0
ANSWER_SECONDS = 2.0


@dataclass
class Turns:
    """One for the process."""

    database: Database
    telegram: Telegram
    breakers: Breakers
    health: Health
    metrics: Metrics
    me: str = field(default_factory=lambda: uuid4().hex)
    has_tables: asyncio.Event = field(default_factory=asyncio.Event)
    lease: Lease | None = None
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random
    _asked_at: float = -TELEGRAM_SECONDS
    _holds_until: float = float("-inf")
    """Our own lease, by our clock: at the latest then it may be another's."""
    _gives_way_until: float = float("-inf")
    _met_at: float = float("-inf")
    """The last time that we asked the dice about."""
    _polls_since: float = 0.0
    _renewed_at: float | None = None
    """When the holder was heard of last, by our clock."""

    @property
    def is_ours(self) -> bool:
        """Whether we are to poll: by what Postgres said last, unless we give way to another that polls."""
        may_be = self.lease is None or self.lease.holder == self.me
        return may_be and self.clock() >= self._gives_way_until

    async def run(self, listen: Listen, stop: asyncio.Event) -> None:
        """Poll whenever it is our turn, until stop; then let the next one have it."""
        await first_set(self.has_tables, stop, seconds=PATIENCE_SECONDS)
        while not stop.is_set():
            await self._ask_whose()
            if self.is_ours:
                await self._poll(listen, stop)
            else:
                await self._stand_by()
                await pause(stop, STANDBY_SECONDS)
        await self._give_up()

    async def _poll(self, listen: Listen, stop: asyncio.Event) -> None:
        """Poll and renew, until stop or until it is another's turn."""
        over = asyncio.Event()
        self._polls_since = self.clock()
        self.metrics.is_polling.set(1)
        silent = None if self._renewed_at is None else round(self.clock() - self._renewed_at, 3)
        log.info("our_turn_to_poll", fence=self.lease.fence if self.lease else None, silent_seconds=silent)
        polling = asyncio.ensure_future(listen(over))
        try:
            while self.is_ours and not stop.is_set() and not polling.done() and not self._is_deaf():
                await pause(stop, RENEW_SECONDS)
                if not stop.is_set():
                    await self._ask_whose()
        finally:
            over.set()
            self.metrics.is_polling.set(0)
            await polling
        if stop.is_set():
            return
        if self.is_ours:
            log.warning("polls_in_vain", silent_seconds=DEAF_SECONDS, mend="Telegram does not answer here: see /status")
            await self._give_up()
            await pause(stop, LET_GO_SECONDS)
        else:
            log.warning("anothers_turn_to_poll", fence=self.lease.fence if self.lease else None)

    def _is_deaf(self) -> bool:
        """Whether the lease is of no use to us: who holds none is alone, for all that is known."""
        heard_at = max(self._polls_since, self.telegram.polling.answered_at or 0.0)
        return self.clock() < self._holds_until and self.clock() - heard_at > DEAF_SECONDS

    async def _ask_whose(self) -> None:
        if not self.has_tables.is_set():
            self._give_way()
            return
        asked_at = self.clock()
        try:
            async with self.database.transaction(timeout=ANSWER_SECONDS) as session:
                self.lease = await take(session, POLLING, self.me, timedelta(seconds=LEASE_SECONDS))
            if self.lease.holder == self.me:
                self._holds_until, self._gives_way_until = asked_at + LEASE_SECONDS, float("-inf")
            else:
                self._renewed_at = self.clock() - (LEASE_SECONDS - self.lease.left_seconds)
        except Unavailable as failure:
            self._give_way()
            log.info("turn_not_known", error=str(failure), polling=self.is_ours)

    def _give_way(self) -> None:
        """Leave it to another poller that we have met since our lease ran out."""
        met_at = self.telegram.polling.conflict_at
        # At first it may be the poll of who was here before us that has not ended yet.
        since = max(self._holds_until, self._polls_since + LEASE_SECONDS)
        if met_at is None or met_at <= max(since, self._met_at) or not self.is_ours:
            return
        self._met_at = met_at
        if self.dice() < 0.5:  # the other may know as little as we do, and one of us is to stay
            return
        least, most = GIVE_WAY_SECONDS
        seconds = least + (most - least) * self.dice()
        self._gives_way_until = self.clock() + seconds
        log.warning("gives_way", seconds=round(seconds), mend="Postgres does not say whose turn it is")

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
