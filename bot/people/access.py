"""Who may ask: who holds a role, and whoever is in an alert chat now."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import structlog

from bot.delivery.messages import Ask
from bot.errors import RateLimited, TelegramError, Unreachable
from bot.people.roster import People
from bot.routing.chats import Chats
from bot.telegram import TELEGRAM
from tocsin.breakers import Breakers, Unavailable
from tocsin.roles import Role

log = structlog.get_logger("access")

REMEMBER_SECONDS = 300.0
MEMBER_SECONDS = 2.0
MOST_REMEMBERED = 10_000
STRANGERS_A_MINUTE = 20
"""Of those who are not known as members. Who is beyond that is a stranger for the moment."""


class Access(StrEnum):
    """allowed: answer. stranger: tell them their own id, nothing else. ignored: say nothing.

    lost: an admin in a group where no alerts go; tell the group's id, or let alerts come there, nothing else.
    """

    ALLOWED = "allowed"
    LOST = "lost"
    STRANGER = "stranger"
    IGNORED = "ignored"


class Membership(Protocol):
    """Telegram, as far as the gate asks it."""

    async def is_member(self, chat_id: int, user_id: int) -> bool: ...


@dataclass
class Gate:
    """Decides for each ask. Membership is asked of Telegram and remembered for some minutes."""

    people: People
    chats: Chats
    telegram: Membership
    breakers: Breakers
    clock: Callable[[], float] = time.monotonic
    _members: dict[int, float] = field(default_factory=dict[int, float])
    _strangers: dict[int, float] = field(default_factory=dict[int, float])
    """When it was last asked."""
    _looks: deque[float] = field(default_factory=lambda: deque(maxlen=STRANGERS_A_MINUTE))

    async def admit(self, ask: Ask) -> Access:
        """In a group the group decides, in private the person."""
        if ask.chat_id in self.chats.ids():
            return Access.ALLOWED
        if not ask.is_private:
            return Access.LOST if self.people.role_of(ask.user_id) is Role.ADMIN else Access.IGNORED
        if self.people.role_of(ask.user_id) or await self._is_member(ask.user_id):
            return Access.ALLOWED
        return Access.STRANGER

    async def _is_member(self, user_id: int) -> bool:
        now = self.clock()
        for known in (self._members, self._strangers):
            if user_id in known and now - known[user_id] < REMEMBER_SECONDS:
                return known is self._members
        if user_id not in self._members and not self._may_look_up(now):
            return False
        found: bool | None = False
        for chat_id in self.chats.ids():
            if chat_id < 0:
                is_in = await self._ask_telegram(chat_id, user_id)
                if is_in:
                    found = True
                    break
                found = None if is_in is None else found
        if found is None:  # not known: refuse now, ask again next time
            return False
        self._members.pop(user_id, None)
        known = self._members if found else self._strangers
        if len(known) >= MOST_REMEMBERED:
            known.clear()
        known[user_id] = now
        return found

    def _may_look_up(self, now: float) -> bool:
        """Whether one more whom no group is known to have may cost Telegram's time: anybody can write to a bot."""
        if len(self._looks) == STRANGERS_A_MINUTE and now - self._looks[0] < 60:
            return False
        self._looks.append(now)
        return True

    async def _ask_telegram(self, chat_id: int, user_id: int) -> bool | None:
        """Whether a person is in a group; None if Telegram could not say."""
        try:
            async with self.breakers.guard(TELEGRAM, timeout=MEMBER_SECONDS, errors_that_count=(Unreachable,)):
                return await self.telegram.is_member(chat_id, user_id)
        except (Unavailable, RateLimited):
            return None
        except TelegramError as refusal:
            log.info("membership_unknown", chat=chat_id, error=str(refusal))
            return False
