"""Keep the rules as people want them: in Postgres, read anew every few seconds, changed by one editor at a time."""

import asyncio
from dataclasses import dataclass, replace

import structlog

from bot.incidents.failures import stored
from bot.incidents.machine import Person
from bot.rules.rulebook import RuleBook, Tuning, check
from bot.store import audit
from bot.store.audit import Actor
from bot.store.database import Database
from bot.store.rules import read_tunings, store_tuning
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.times import current_ms

log = structlog.get_logger("rules")

REFRESH_SECONDS = 5.0


@dataclass
class RuleKeeping:
    """One for the process. While Postgres is away the rules stay as they were known last."""

    database: Database
    book: RuleBook

    async def keep(self, stop: asyncio.Event) -> None:
        """Learn what others change, until stop."""
        while not stop.is_set():
            try:
                await self.refresh()
            except Unavailable as failure:
                log.info("rules_may_be_old", error=str(failure))
            await pause(stop, REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Learn once. Raises Unavailable."""
        async with self.database.transaction() as session:
            self.book.learn(await read_tunings(session))

    async def change(self, name: str, wanted: Tuning, who: Person, *, version: int) -> Tuning:
        """Change a rule that is at this version. Raises BadTuning, Changed or Unavailable."""
        check(self.book.shipped(name), wanted)
        wanted = replace(wanted, by=stored(who.name, 100), at_ms=current_ms())
        async with self.database.transaction() as session:
            now = await store_tuning(session, name, wanted, version=version)
            actor = Actor.of(who)
            await audit.note(session, actor, "rule", name, f"done: {words(now)}")
        self.book.learn({**self.book.tunings, name: now})
        log.info("rule_changed", rule=name, by=who.known_as, now=words(now))
        return now


def words(tuning: Tuning) -> str:
    """What is changed of a rule, in short."""
    switched = [] if tuning.is_on is None else ["on" if tuning.is_on else "off"]
    return " ".join([*switched, *(f"{name}={value:g}" for name, value in tuning.numbers.items())]) or "as it ships"
