"""What is too old to be of use is left out of the outbox, and no alert ever is."""

from dataclasses import replace

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.incidents.failures import Key
from bot.incidents.machine import Incident, Phase
from bot.routing.routes import Destination
from bot.store.incidents import write
from bot.store.models import Card, IncidentRow
from bot.store.outbox import INCIDENT, NUDGE, REMINDER, Subject, put
from bot.store.stale import EDIT_KEEPS_MS, Dropped, drop_stale

NOW_MS = 10 * EDIT_KEEPS_MS
OLD_MS = NOW_MS - EDIT_KEEPS_MS - 1
HERE, AWAY = Destination(1), Destination(2)
FIRING = Incident(
    key=Key("prod", "main", "orders", "f"),
    phase=Phase.FIRING,
    episode=1,
    count=1,
    total=1,
    first_ms=1,
    last_ms=1,
    touched_ms=1,
    has_rung=True,
)


async def drop(engine: AsyncEngine) -> list[Dropped]:
    async with AsyncSession(engine) as session, session.begin():
        return await drop_stale(session, now_ms=NOW_MS)


async def waiting(engine: AsyncEngine) -> set[str]:
    async with AsyncSession(engine) as session:
        wanted = select(Card.text).where(Card.state == "live", Card.wanted > Card.sent)
        return set(await session.scalars(wanted))


async def test_only_what_is_of_no_use_any_more_is_dropped(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        goes_on, taken = (
            write(session, None, replace(FIRING, key=Key("prod", "main", name, "f"), phase=phase))
            for name, phase in (("orders", Phase.FIRING), ("mail", Phase.ACKED))
        )
        await session.flush()
        for row, name in ((goes_on, "goes on"), (taken, "taken")):
            about = Subject(INCIDENT, row.id, 1)
            put(session, about, HERE, f"alert: {name}", (), now_ms=1)
            put(session, about, HERE, f"old edit: {name}", (), now_ms=OLD_MS, message_id=7)
            put(session, about, HERE, f"fresh edit: {name}", (), now_ms=NOW_MS, message_id=8)
            put(session, about, AWAY, f"edit, away: {name}", (), now_ms=OLD_MS, message_id=9)
            put(session, Subject(NUDGE, row.id, 1), HERE, f"nudge: {name}", (), now_ms=1)
        put(session, Subject(REMINDER), HERE, "reminder", (), now_ms=1)
        put(session, Subject("action"), HERE, "what came of it", (), now_ms=1, message_id=10)
        await session.flush()
        await session.execute(update(Card).where(Card.chat_id == AWAY.chat_id).values(note="blocked"))
    everything = await waiting(engine)

    [dropped] = await drop(engine)
    assert dropped == Dropped(replace(HERE, is_silent=True), edits=2, sounds=1)
    gone = {"old edit: goes on", "old edit: taken", "nudge: taken"}
    assert await waiting(engine) == everything - gone
    assert await drop(engine) == []

    async with AsyncSession(engine) as session, session.begin():
        await session.execute(update(IncidentRow).values(phase=Phase.RESOLVED))
        await session.execute(update(Card).where(Card.text.startswith("old edit")).values(wanted=Card.wanted + 1))
        await session.execute(update(Card).where(Card.text == "old edit: taken").values(changed_ms=NOW_MS))
    [dropped] = await drop(engine)
    assert (dropped.edits, dropped.sounds) == (1, 2)
    gone -= {"old edit: taken"}  # it has changed anew
    assert await waiting(engine) == everything - gone - {"nudge: goes on", "reminder"}
