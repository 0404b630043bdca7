"""Tokens that let in and sessions that are over, as the bot last told. While it is away, what it told last counts."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

import structlog

from logsvc.auth.who import Session
from logsvc.bot import Bot, BotRefused
from tocsin.access import PERSON, SESSION, AccessList, KnownToken, hash_of
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.auth")

REFRESH_SECONDS = 3.0
WAIT_SECONDS = 30.0
"""Of a process that has just started, for the bot: it knows who was logged out. Where it is away for longer, whoever
holds a session is let in: on such a night the page must be there."""
MOST_ENDED_HERE = 10_000


class Access:
    """Run `follow` as a supervised part. is_fresh: whether the bot answered the last time it was asked."""

    def __init__(self, bot: Bot, clock: Callable[[], float] = time.time) -> None:
        self._bot = bot
        self._clock = clock
        self._waits_until = clock() + WAIT_SECONDS
        self.is_fresh = False
        self.is_known = False
        self._tokens: dict[str, KnownToken] = {}
        self._ended: dict[str, int] = {}
        self._ended_here: OrderedDict[str, None] = OrderedDict()
        self._persons_here: OrderedDict[str, tuple[int, int]] = OrderedDict()

    @property
    def can_ask(self) -> bool:
        """Whether there is a bot to ask."""
        return self._bot.is_configured

    def token(self, secret: str) -> KnownToken | None:
        """The token with this secret, if it is good now."""
        return self.token_by_hash(hash_of(secret))

    def token_by_hash(self, hashed: str) -> KnownToken | None:
        known = self._tokens.get(hashed)
        if known is None or (known.expires_at and milliseconds(known.expires_at) <= self._clock() * 1000):
            return None
        return known

    @property
    def is_waiting(self) -> bool:
        """Whether the bot has not said yet which sessions are over, and may say so in a moment."""
        return self.can_ask and not self.is_known and self._clock() < self._waits_until

    def is_over(self, session: Session) -> bool:
        """Whether somebody has logged out of this session, or was logged out."""
        if session.id in self._ended_here or session.expires_ms <= self._clock() * 1000:
            return True
        everywhere = self._ended.get(f"{PERSON}{session.user_id}", -1)
        here, told_before = self._persons_here.get(session.user_id, (-1, -1))
        if everywhere == told_before:  # else the bot has heard of it, and its clock is the one of logins
            everywhere = max(everywhere, here)
        return f"{SESSION}{session.id}" in self._ended or session.issued_ms <= everywhere

    def end_here(self, session: Session, *, everywhere: bool = False) -> None:
        """This replica knows at once; the others hear of it from the bot."""
        self._ended_here[session.id] = None
        if len(self._ended_here) > MOST_ENDED_HERE:
            self._ended_here.popitem(last=False)
        if everywhere:
            told = self._ended.get(f"{PERSON}{session.user_id}", -1)
            self._persons_here[session.user_id] = (int(self._clock() * 1000), told)
            self._persons_here.move_to_end(session.user_id)
            if len(self._persons_here) > MOST_ENDED_HERE:
                self._persons_here.popitem(last=False)

    async def follow(self, stop: asyncio.Event) -> None:
        """Ask the bot every few seconds until stop is set."""
        if not self._bot.is_configured:
            await stop.wait()
            return
        while not stop.is_set():
            try:
                self.learn(await self._bot.access())
            except (Unavailable, BotRefused) as failure:
                if self.is_fresh:
                    log.warning("access_may_be_old", error=str(failure))
                self.is_fresh = False
            await pause(stop, REFRESH_SECONDS)

    def learn(self, told: AccessList) -> None:
        """Take what the bot told in place of what was known."""
        self._tokens = {one.hash: one for one in told.tokens}
        self._ended = {one.subject: milliseconds(one.at) for one in told.ended}
        self.is_fresh = self.is_known = True


def milliseconds(at: str) -> int:
    """A time of the wire, RFC 3339, in ms."""
    return int(datetime.fromisoformat(at).timestamp() * 1000)
