"""What Telegram tells again, because nobody told it that we have heard it, is not done again."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.conversation import Conversation
from bot.delivery.messages import Ask, Reply
from bot.delivery.pacing import Pacer
from bot.desk import Desk
from bot.incidents.alerts import Alerts
from bot.incidents.failures import Key, LastFailure, Tally
from bot.incidents.handling import Handling
from bot.metrics import Metrics
from bot.people.access import Access, Gate
from bot.people.roster import People
from bot.people.seal import Seal
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.rules.policy import Policy
from bot.rules.rulebook import RuleBook
from bot.settings import BotSettings
from bot.store.database import Database
from bot.store.incidents import find_incident
from bot.store.models import Card
from bot.telegram import Telegram
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.roles import Role
from tocsin.settings import read

ADMIN, CARD = 1, 17


@dataclass
class Trial:
    """A command that must not be done twice."""

    name: str = "test"
    about: str = ""
    needs: Role = Role.VIEWER
    rung: int = 0

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        self.rung += 1
        return Reply("rung")


class Quiet:
    """A Telegram that takes whatever is said, and lets everybody in."""

    username = "tocsin_bot"
    people = People(frozenset((ADMIN,)))

    def __init__(self) -> None:
        self.said: list[str] = []

    async def send(self, to: Any, text: str, *_: Any, **__: Any) -> int:
        self.said.append(text)
        return 1

    async def admit(self, _: Ask) -> Access:
        return Access.ALLOWED


async def test_what_is_told_again_rings_once_is_noted_once_and_is_answered(engine: AsyncEngine) -> None:
    settings, metrics = read(BotSettings, {**BASE, "TELEGRAM_ADMINS": str(ADMIN)}), Metrics(CollectorRegistry())
    breakers = Breakers(settings, CollectorRegistry())
    database = Database(engine, breakers, timeout=60)
    alerts = Alerts(Chats(settings), RuleBook(Policy()), metrics, Links(""), Seal("secret"))
    async with database.transaction() as session:
        seen = Tally(1, 1000, 1000, is_fresh=True, last=LastFailure())
        await alerts.record(session, {Key("prod", "main", "orders", "f"): seen}, now_ms=1000)
        await session.execute(update(Card).values(message_id=CARD))
        incident_id = await session.scalar(select(Card.incident_id))
    assert incident_id is not None
    trial, quiet = Trial(), Quiet()
    desk = SimpleNamespace(database=database, handling=Handling(database, alerts, lambda: None))
    conversation = Conversation(
        cast(Telegram, quiet), cast(Gate, quiet), cast(Desk, desk), breakers, Pacer(), metrics, {"test": trial}
    )
    rings = Ask(ADMIN, ADMIN, is_private=True, text="/test", update_id=1)
    notes = Ask(ADMIN, ADMIN, is_private=True, text="they know", reply_to=CARD, update_id=2)
    for ask in (rings, rings, notes, notes, replace(rings, update_id=3)):
        await conversation.hear(ask)
    assert trial.rung == 2
    assert [text.split(":")[0] for text in quiet.said if "rung" in text or "restarted" in text] == [
        "rung",
        "I heard this /test before, perhaps before I was restarted",
        "rung",
    ]
    async with database.transaction() as session:
        incident = await find_incident(session, incident_id)
    assert incident is not None
    assert [one.text for one in incident.notes] == ["they know"]
