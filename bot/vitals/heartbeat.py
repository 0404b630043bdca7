"""A sign of life for somebody outside: sent once a minute, and only while Tocsin can hear and ring.

A probe of its own goes through Kafka and back and into Postgres, the reader of failures is at work, Telegram knows our
token, and what is to be told arrives; else nothing is sent, and whoever waits for it (HEARTBEAT_URL) raises the alarm
in our place.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
import structlog
from pydantic import SecretStr

from bot.delivery.addresses import host_of
from bot.errors import TelegramError, Unreachable
from bot.incidents.consume import Progress
from bot.kafka import Echo, KafkaError
from bot.metrics import Metrics
from bot.store.database import Database
from bot.store.milestones import PROBED, mark
from bot.store.sent import Depth, depth
from bot.telegram import TELEGRAM, Telegram
from tocsin.breakers import Breakers, Unavailable
from tocsin.lifecycle import pause
from tocsin.times import current_ms

log = structlog.get_logger("heartbeat")

EVERY_SECONDS = 60.0
SOONER_SECONDS = 10.0
"""While something is wrong: the outage is not to look longer than it is."""
READ_LATELY_SECONDS = 60.0
UNSENT_SECONDS = 600.0
"""A message that has waited so long for its chat is late, whatever keeps it; a busy chat's pace alone does not."""
PING_SECONDS = 10.0


class HeldBack(Exception):
    """Why no sign of life is sent."""


@dataclass
class Heartbeat:
    """url: None = nobody waits for it. sent_at: by the monotonic clock. problem: why it is held back."""

    url: SecretStr | None
    database: Database
    telegram: Telegram
    breakers: Breakers
    progress: Progress
    metrics: Metrics
    client: httpx.AsyncClient
    alert_chats: Callable[[], Collection[int]]
    open_echo: Callable[[], Echo]
    clock: Callable[[], float] = time.monotonic
    sent_at: float | None = None
    problem: str = ""
    _echo: Echo | None = field(default=None)

    async def run(self, stop: asyncio.Event) -> None:
        """Send signs of life until stop."""
        try:
            while not stop.is_set():
                is_sent = self.url is None or await self._beat(self.url.get_secret_value())
                await pause(stop, EVERY_SECONDS if is_sent else SOONER_SECONDS)
        finally:
            await self._close_echo()

    async def _beat(self, url: str) -> bool:
        try:
            await self._check()
            await self._ping(url)
        except HeldBack as why:
            self.problem = str(why)
            self.metrics.errors.labels("process", "heartbeat").inc()
            log.warning("heartbeat_held_back", reason=self.problem)
            return False
        self.sent_at, self.problem = self.clock(), ""
        self.metrics.heartbeat.set_to_current_time()
        return True

    async def _check(self) -> None:
        """Raise HeldBack unless everything on the way from Kafka to Telegram works."""
        await self._through_kafka()
        read_at = self.progress.read_at
        if self.progress.problem or read_at is None or self.clock() - read_at > READ_LATELY_SECONDS:
            raise HeldBack(f"failures are not read: {self.progress.problem or 'nothing read lately'}")
        try:
            async with self.database.transaction() as session:
                await mark(session, PROBED, current_ms())
                waiting = await depth(session, dead_since_ms=current_ms())
            async with self.breakers.guard(TELEGRAM, errors_that_count=(Unreachable,)):
                await self.telegram.me()
        except (Unavailable, TelegramError) as failure:
            raise HeldBack(str(failure)) from failure
        self._check_arrival(waiting)

    def _check_arrival(self, waiting: Depth) -> None:
        """Raise HeldBack where nobody hears what is to be told."""
        unsent_seconds = waiting.unsent_seconds(time.time())
        if unsent_seconds > UNSENT_SECONDS:
            raise HeldBack(f"a message has waited {unsent_seconds / 60:.0f} min to be sent")
        chats, away = set(self.alert_chats()), {one.chat_id for one in waiting.away}
        if chats and chats <= away:
            raise HeldBack("no alert chat lets me in")

    async def _through_kafka(self) -> None:
        try:
            if self._echo is None:
                echo = self.open_echo()
                try:
                    await echo.start()
                except BaseException:
                    await echo.stop()
                    raise
                self._echo = echo
            await self._echo.hear(uuid4().bytes)
        except KafkaError as failure:
            await self._close_echo()
            raise HeldBack(f"Kafka does not carry a probe: {type(failure).__name__}: {failure}"[:200]) from failure

    async def _ping(self, url: str) -> None:
        """Errors name the host only: the rest of the address is a secret, and httpx tells all of it."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                answer = await self.client.get(url, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
            raise HeldBack(f"{host_of(url)} does not answer ({type(failure).__name__})") from None
        if not answer.is_success:  # who is sent elsewhere, to a login page or to https, was not heard
            raise HeldBack(f"{host_of(url)} answers {answer.status_code}")

    async def _close_echo(self) -> None:
        echo, self._echo = self._echo, None
        if echo is not None:
            await echo.stop()
