"""A test alert: a marked failure through rule, incident, outbox and route to each chat it would ring, with times."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.incidents.alerts import Alerts
from bot.incidents.failures import Key, tally
from bot.incidents.machine import Call, Phase, Step, end, step
from bot.routing.chats import Chats
from bot.routing.routes import Destination
from bot.store.database import Database, Session
from bot.store.incidents import lock_incident, lock_incidents, lock_open_since, to_incident, write
from bot.store.models import IncidentRow
from bot.store.sent import Sent, sent_of
from tocsin.events import VERSION, JobEvent, State
from tocsin.times import current_ms

FINGERPRINT = "tocsin-test"
NOWHERE = Key("test", "tocsin", "test", FINGERPRINT)
"""What a test that names no queue is about; it goes to every chat there is."""
LOOK_SECONDS = 0.1
FORGOTTEN_MS = 120_000
"""No test goes on for so long."""
AT_ONCE = 100


@dataclass(frozen=True)
class Trial:
    """What became of a test. counted_ms: until incident and messages were committed. sent: one for each place."""

    number: int
    key: Key
    counted_ms: int
    sent: Sequence[Sent]

    @property
    def is_delivered(self) -> bool:
        return bool(self.sent) and all(one.after_ms is not None for one in self.sent)


def marked_failure(key: Key, by: str, now_ms: int) -> JobEvent:
    """A job that failed for good, as the bridge would tell of it, and that says what it is."""
    return JobEvent(
        v=VERSION,
        id="",
        ts=now_ms,
        env=key.env,
        source=key.source,
        queue=key.queue,
        epoch=0,
        stream_id="",
        event="failed",
        state=State.FAILED,
        error_type="TEST ALERT",
        error=f"Nothing has failed: {by} tests that alerts of this queue arrive here.",
        fingerprint=FINGERPRINT,
    )


async def ring(database: Database, alerts: Alerts, chats: Chats, key: Key, by: str, *, seconds: float) -> Trial:
    """Ring, wait until every chat has it or the time is up, and end the incident. Raises Unavailable.

    No silence, no storm and no quiet hours cover it: what is to be known is whether it arrives.
    """
    began_ms = current_ms()
    to = chats.all_destinations() if key == NOWHERE else chats.destinations(*key[:3])
    number = await _open(database, alerts, key, to, by)
    counted_ms = current_ms() - began_ms
    alerts.woken()
    deadline = time.monotonic() + seconds
    sent: Sequence[Sent] = ()
    while time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        async with database.transaction() as session:
            sent = await sent_of(session, number)
        if all(one.after_ms is not None for one in sent):
            break
    await _close(database, alerts, number)
    alerts.woken()
    return Trial(number, key, counted_ms, sent)


async def _open(database: Database, alerts: Alerts, key: Key, to: Sequence[Destination], by: str) -> int:
    """Begin a new episode, whatever became of the test before."""
    now_ms = current_ms()
    failure = marked_failure(key, by, now_ms)
    [(same, seen)] = tally([failure], now_ms=now_ms, born_ms=0, policy=alerts.policy, skew_ms={}).items()
    async with database.transaction() as session:
        row = (await lock_incidents(session, [same])).get(same)
        before = to_incident(row) if row else None
        if before is not None and not before.is_over:
            before = end(before, now_ms=now_ms)
        done = step(same, before, seen, now_ms=now_ms, policy=alerts.policy)
        row = write(session, row, done.incident)
        await session.flush()
        alerts.ring(session, row, done.incident, to, now_ms=now_ms)
        await alerts.tell_channels(session, row, done.incident, now_ms=now_ms)
        return row.id


async def _close(database: Database, alerts: Alerts, number: int) -> None:
    async with database.transaction() as session:
        row = await lock_incident(session, number)
        if row is not None and row.phase != Phase.RESOLVED:
            await _end(session, alerts, [row], current_ms())


async def end_forgotten(session: Session, alerts: Alerts, *, now_ms: int) -> int:
    """End the tests of whoever was killed before they could do it themselves; return how many."""
    rows = await lock_open_since(session, FINGERPRINT, now_ms - FORGOTTEN_MS, AT_ONCE)
    await _end(session, alerts, rows, now_ms)
    return len(rows)


async def _end(session: Session, alerts: Alerts, rows: Sequence[IncidentRow], now_ms: int) -> None:
    over = [(row, end(to_incident(row), now_ms=now_ms)) for row in rows]
    steps = [(write(session, row, one), Step(one, Call.EDIT)) for row, one in over]
    await alerts.tell(session, steps, now_ms=now_ms)
