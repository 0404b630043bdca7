"""Incidents as rows in a test: what fails, and what Telegram would be sent, by a clock that is passed in."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.incidents.alerts import Alerts
from bot.incidents.failures import Key, LastFailure, Tally
from bot.store.models import Card

KEY = Key("prod", "main", "orders", "f")
ADMIN, ANN, BOSS = 1, 2002, 3003


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC).timestamp() * 1000)


async def fail(engine: AsyncEngine, alerts: Alerts, now_ms: int, *keys: Key) -> None:
    """These fail once each, now."""
    seen = Tally(1, now_ms, now_ms, is_fresh=True, last=LastFailure())
    async with AsyncSession(engine) as session, session.begin():
        await alerts.record(session, dict.fromkeys(keys, seen), now_ms=now_ms)


async def send_all(engine: AsyncEngine) -> list[tuple[str, str]]:
    """Kind and text of each new message that Telegram would take now; it takes them."""
    async with AsyncSession(engine) as session, session.begin():
        cards = (await session.scalars(select(Card).where(Card.sent == 0).order_by(Card.id))).all()
        for one in cards:
            one.sent, one.message_id = one.wanted, one.id
        return [(one.kind, one.text) for one in cards]


def numbered(first: int, count: int) -> list[Key]:
    """So many kinds of failures."""
    return [Key("prod", "main", "orders", f"f{number}") for number in range(first, first + count)]


@contextmanager
def statements(engine: AsyncEngine) -> Generator[list[str]]:
    """What Postgres is asked meanwhile: each is a round trip."""
    asked: list[str] = []

    def ask(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", ask)
    yield asked
    event.remove(engine.sync_engine, "before_cursor_execute", ask)
