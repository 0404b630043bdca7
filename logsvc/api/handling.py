"""Who dealt with a failure last, and how: the bot knows, for incidents are its own."""

from collections.abc import Iterator
from typing import Protocol

import msgspec
import structlog

from logsvc.bot import Bot, BotRefused
from tocsin.breakers import Unavailable

log = structlog.get_logger("logsvc.api")

LOOK_SECONDS = 2.0
MOST_INCIDENTS = 50
"""A failure has an incident in each queue."""


class Handled(msgspec.Struct):
    """by: a person. how: acked or noted. note: what they said of it; of a retry of its jobs, what came of that."""

    by: str
    how: str
    at: str
    note: str = ""


class Handling(msgspec.Struct):
    """is_known: false = who knows cannot be asked now; then last says nothing. last: null = nobody has."""

    is_known: bool
    last: Handled | None


class Incidents(Protocol):
    """Who can be asked about incidents. An answer comes within two seconds, or says that nothing is known."""

    async def last_handling(self, fingerprint: str) -> Handling: ...


class BotIncidents:
    """The bot's incidents."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def last_handling(self, fingerprint: str) -> Handling:
        asked = {"fingerprint": fingerprint, "limit": str(MOST_INCIDENTS)}
        try:
            told = await self._bot.ask("GET", "incidents", query=asked, seconds=LOOK_SECONDS)
            found = msgspec.json.decode(told.body, type=_Page).items
        except (Unavailable, BotRefused, msgspec.MsgspecError) as error:
            log.info("handling_unknown", reason=str(error))
            return Handling(is_known=False, last=None)
        mine = [handled for one in found if one.fingerprint == fingerprint for handled in _told(one)]
        return Handling(is_known=True, last=max(mine, key=lambda one: one.at, default=None))


class _Note(msgspec.Struct):
    by: str
    at: str
    text: str


class _Incident(msgspec.Struct, kw_only=True):
    """Of an incident, who had to do with it. previous: who took the episode before this one."""

    fingerprint: str
    acked_by: str | None = None
    acked_at: str | None = None
    previous_by: str | None = None
    previous_at: str | None = None
    notes: list[_Note] = []


class _Page(msgspec.Struct):
    items: list[_Incident]


def _told(one: _Incident) -> Iterator[Handled]:
    newest = one.notes[-1].text if one.notes else ""
    if one.previous_by and one.previous_at:
        yield Handled(one.previous_by, "acked", one.previous_at)
    if one.acked_by and one.acked_at:
        yield Handled(one.acked_by, "acked", one.acked_at, newest)
    for note in one.notes:
        yield Handled(note.by, "noted", note.at, note.text)
