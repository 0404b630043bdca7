"""Who is what: admins by the settings, roles that were given by Postgres, kept in memory so that a Postgres that is
away locks nobody out.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from bot.delivery.messages import Ask
from bot.store import people as stored
from bot.store.database import Database, Session
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.roles import Role

log = structlog.get_logger("people")

REFRESH_SECONDS = 5.0
MOST_SEEN = 1000
NOBODY = frozenset({1087968824, 136817688, 777000})
"""What Telegram puts in a person's place: an anonymous admin, a channel, itself. They are many, and hold no role.
Source: core.telegram.org/bots/api#message, `from`."""


@dataclass
class People:
    """Roles as known now, and who spoke lately. Run `keep` as a supervised part."""

    admins: frozenset[int]
    granted: dict[int, Role] = field(default_factory=dict[int, Role])
    _seen: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    _stored: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])

    def role_of(self, user_id: int) -> Role | None:
        """A person's own role, whatever chat they are in; None if they have none."""
        if user_id in NOBODY:
            return None
        return Role.ADMIN if user_id in self.admins else self.granted.get(user_id)

    async def role_in(self, session: Session, user_id: int) -> Role | None:
        """The same as Postgres says now: for what outlives the seconds that memory may be behind."""
        if user_id in NOBODY or user_id in self.admins:
            return self.role_of(user_id)
        return await stored.granted(session, user_id)

    def saw(self, ask: Ask) -> None:
        """Note who speaks; they are stored later, for an answer must not wait for that."""
        who = (ask.username, ask.user_name)
        if ask.user_id not in NOBODY and self._stored.get(ask.user_id) != who and len(self._seen) < MOST_SEEN:
            self._seen[ask.user_id] = who

    async def keep(self, database: Database, stop: asyncio.Event) -> None:
        """Store who spoke and read the roles anew, every few seconds, until stop."""
        while not stop.is_set():
            try:
                await self.refresh(database)
            except Unavailable as failure:
                log.info("roles_may_be_old", error=str(failure))
            await pause(stop, REFRESH_SECONDS)

    async def refresh(self, database: Database) -> None:
        """Do it once. Raises Unavailable."""
        seen = dict(self._seen)
        async with database.transaction() as session:
            await stored.remember(session, seen)
            self.granted = await stored.grants(session)
        if len(self._stored) > MOST_SEEN:
            self._stored.clear()
        self._stored |= seen
        self._seen = {one: who for one, who in self._seen.items() if seen.get(one) != who}
