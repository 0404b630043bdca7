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

from logsvc.auth.outbox import Outbox
from logsvc.bot import Bot
from tocsin.access import Arrival
from tocsin.roles import Role

log = structlog.get_logger("logsvc.auth")

MOST_KNOWN = 10_000


class Arrivals:
    """Run `follow` as a supervised part. is_told: whether there is a bot to tell."""

    def __init__(self, *, is_told: bool, clock: Callable[[], float] = time.time) -> None:
        self._is_told = is_told
        self._clock = clock
        self._known: OrderedDict[str, None] = OrderedDict()
        self._outbox = Outbox[Arrival]()

    def note(self, user_id: str, name: str, role: Role | None, address: str) -> None:
        """Somebody is here. role: None = and is not let in."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        what = "\n".join((user_id, address, role or "", now.date().isoformat()))
        key = f"login:{hashlib.sha256(what.encode(errors='replace')).hexdigest()[:40]}"
        if key in self._known:
            self._known.move_to_end(key)
            return
        if self._outbox.is_full:
            return  # the bot is away for long; who asks again when it is back is told of then
        log.info("login" if role else "login_refused", user_id=user_id, role=role or "", address=address, by="proxy")
        self._known[key] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        if self._is_told:
            at = now.isoformat(timespec="seconds")
            arrival = Arrival(request_id=key, user_id=user_id, name=name, role=role, address=address, at=at)
            self._outbox.put(key, arrival)

    async def follow(self, bot: Bot, stop: asyncio.Event) -> None:
        """Tell the bot, as soon as it answers, until stop is set; then once more what waits."""
        await self._outbox.follow(bot.arrived, stop)
