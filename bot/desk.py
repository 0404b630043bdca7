"""What a command may use to answer, and what a command is."""

from dataclasses import dataclass
from typing import Protocol

from bot.actions.acting import Acting
from bot.delivery.messages import Ask, Reply
from bot.drawing import Drawing
from bot.incidents.handling import Handling
from bot.logsvc import History
from bot.people.logins import Logins
from bot.people.reach import Reach
from bot.people.roster import People
from bot.people.seal import Seal
from bot.queues.numbers import Ledger
from bot.queues.tables import Table
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.rules.board import Board
from bot.rules.preview import Preview
from bot.rules.rulekeeping import RuleKeeping
from bot.store.database import Database
from bot.vitals.pulse import Pulse
from tocsin.events import SchedulerSnapshot
from tocsin.roles import Role


@dataclass(frozen=True)
class Desk:
    """Everything a command can ask. listed: name and one line of every command."""

    ledger: Ledger
    history: History
    database: Database
    pulse: Pulse
    handling: Handling
    acting: Acting
    rules: RuleKeeping
    preview: Preview
    seal: Seal
    links: Links
    board: Board
    chats: Chats
    people: People
    reach: Reach
    logins: Logins
    drawing: Drawing
    schedules: Table[SchedulerSnapshot]
    listed: tuple[tuple[str, str], ...] = ()


class Command(Protocol):
    """A module of bot/commands. name: without the slash. about: one line; empty = not listed.

    needs: the least role of who may use it.
    """

    name: str
    about: str
    needs: Role

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply: ...


class Pressable(Protocol):
    """A command whose answer has buttons of its own."""

    name: str
    needs: Role

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply: ...
