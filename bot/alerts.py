"""Incidents to messages: which chats hear what of a step. All of it inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.chats import Chats
from bot.incidents import Call, Incident, Key, Step, Tally, add_late, key_part, resolve, step
from bot.messages import Buttons
from bot.metrics import Metrics
from bot.render.alert import alert_buttons, alert_text, late_text
from bot.routes import Destination
from bot.rules import Policy
from bot.store.database import Session
from bot.store.incidents import lock_incidents, lock_silent, to_incident, write
from bot.store.late import open_summary, save_summary, to_late
from bot.store.models import IncidentRow
from bot.store.outbox import Rewrite, Subject, put, rewrite_incidents, rewrite_late

INCIDENT, LATE = "incident", "late"
RESOLVE_AT_ONCE = 100


@dataclass
class Alerts:
    """Turn failures into incidents and wanted messages.

    page_url: the live page's address, empty if there is none to link to.
    """

    chats: Chats
    policy: Policy
    metrics: Metrics
    page_url: str = ""
    unrouted: int = field(default=0)

    async def record(self, session: Session, tallies: Mapping[Key, Tally], *, now_ms: int) -> int:
        """Apply a batch to its incidents; return how many ring."""
        if not tallies:
            return 0
        rows = await lock_incidents(session, tallies)
        steps: list[tuple[IncidentRow, Step]] = []
        for key in sorted(tallies):
            row = rows.get(key)
            done = step(key, to_incident(row) if row else None, tallies[key], now_ms=now_ms)
            steps.append((write(session, row, done.incident), done))
        await session.flush()  # all rows at once; the new ones have ids now
        edits: list[Rewrite] = []
        late: dict[Destination, list[Step]] = {}
        for row, done in steps:
            match done.call:
                case Call.RING:
                    self._ring(session, row, done.incident, now_ms)
                case Call.EDIT:
                    edits.append(self._edit(row, done.incident))
                case Call.SUMMARY:
                    for to in self.chats.destinations(*done.incident.key[:3]):
                        late.setdefault(to, []).append(done)
        await rewrite_incidents(session, edits, now_ms=now_ms)
        for to, unheard in late.items():
            await self._summarise(session, to, unheard, now_ms)
        return sum(done.call is Call.RING for _, done in steps)

    async def resolve_silent(self, session: Session, *, now_ms: int, heard_ms: int, sources: Sequence[str]) -> int:
        """Resolve incidents of these sources that were silent for long enough by heard_ms; return how many.

        heard_ms: everything up to then is counted. Their messages say so, unheard.
        """
        before_ms = heard_ms - int(self.policy.resolve_seconds * 1000)
        rows = await lock_silent(session, before_ms, [key_part(one) for one in sources], RESOLVE_AT_ONCE)
        edits: list[Rewrite] = []
        for row in rows:
            incident = resolve(to_incident(row), now_ms=now_ms, heard_ms=heard_ms, policy=self.policy)
            if incident is not None:
                edits.append(self._edit(write(session, row, incident), incident))
        await rewrite_incidents(session, edits, now_ms=now_ms)
        return len(edits)

    def _ring(self, session: Session, row: IncidentRow, incident: Incident, now_ms: int) -> None:
        text, buttons = self._card(incident)
        about = Subject(INCIDENT, row.id, row.episode)
        found = self.chats.destinations(*incident.key[:3])
        for to in found:
            put(session, about, to, text, buttons, now_ms=now_ms)
        if not found:
            self.unrouted += 1
            self.metrics.unrouted.inc()

    def _edit(self, row: IncidentRow, incident: Incident) -> Rewrite:
        return Rewrite(row.id, row.episode, *self._card(incident))

    def _card(self, incident: Incident) -> tuple[str, Buttons]:
        return alert_text(incident), alert_buttons(incident, self.page_url)

    async def _summarise(self, session: Session, to: Destination, steps: Sequence[Step], now_ms: int) -> None:
        row = await open_summary(session, to, now_ms - int(self.policy.stale_seconds * 1000))
        summary = to_late(row)
        for one in steps:
            summary = add_late(summary, one)
        is_new = row is None
        late_id = await save_summary(session, row, to, summary, now_ms=now_ms)
        if is_new:
            put(session, Subject(LATE, late_id=late_id), to, late_text(summary), (), now_ms=now_ms)
        else:
            await rewrite_late(session, late_id, late_text(summary), now_ms=now_ms)
