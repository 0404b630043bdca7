"""People whom a trusted proxy lets in: they have no moment of login, so the audit is told once a day and address.

The bot takes each once, by its request_id: other replicas, a restart and what is forgotten here write no second row.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from logsvc.bot import Bot, BotRefused
from tocsin.access import Arrival
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.roles import Role

log = structlog.get_logger("logsvc.auth")

TELL_SECONDS = 1.0
MOST_KNOWN = 10_000
MOST_WAITING = 1_000


class Arrivals:
    """Run `follow` as a supervised part. is_told: whether there is a bot to tell."""

    def __init__(self, *, is_told: bool, clock: Callable[[], float] = time.time) -> None:
        self._is_told = is_told
        self._clock = clock
        self._known: OrderedDict[str, None] = OrderedDict()
        self._waiting: OrderedDict[str, Arrival] = OrderedDict()

    def note(self, user_id: str, name: str, role: Role | None, address: str) -> None:
        """Somebody is here. role: None = and is not let in."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        what = "\n".join((user_id, address, role or "", now.date().isoformat()))
        key = f"login:{hashlib.sha256(what.encode(errors='replace')).hexdigest()[:40]}"
        if key in self._known:
            self._known.move_to_end(key)
            return
        if len(self._waiting) >= MOST_WAITING:
            return  # the bot is away for long; who asks again when it is back is told of then
        log.info("login" if role else "login_refused", user_id=user_id, role=role or "", address=address, by="proxy")
        self._known[key] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        if self._is_told:
            self._waiting[key] = Arrival(
                request_id=key,
                user_id=user_id,
                name=name,
                role=role,
                address=address,
                at=now.isoformat(timespec="seconds"),
            )

    async def follow(self, bot: Bot, stop: asyncio.Event) -> None:
        """Tell the bot, as soon as it answers, until stop is set; then once more what waits."""
        while not stop.is_set():
            await pause(stop, TELL_SECONDS)
            await self._tell(bot)

    async def _tell(self, bot: Bot) -> None:
        while self._waiting:
            key, arrival = next(iter(self._waiting.items()))
            try:
                await bot.arrived(arrival)
            except Unavailable:
                return
            except BotRefused as refusal:
                if refusal.status >= 500:
                    return
                log.error("audit_incomplete", user_id=arrival.user_id, error=str(refusal))
            self._waiting.pop(key, None)
