"""What people do about incidents: take them, keep them quiet, write notes. Each in one transaction, once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from bot.incidents.alerts import Alerts
from bot.incidents.failures import key_part, stored
from bot.incidents.found import unheard
from bot.incidents.machine import Incident, Person, Step, ack, end, note, unack
from bot.incidents.silences import Scope, Silence
from bot.store import audit
from bot.store.audit import NOTED, Actor
from bot.store.database import Database, Session
from bot.store.incidents import (
    incident_of_message,
    list_incidents,
    lock_incident,
    lock_numbered,
    to_incident,
    write,
)
from bot.store.models import IncidentRow, SilenceRow
from bot.store.silences import hold_same, hold_silences, keep_still, silences_on, to_silence
from bot.store.storms import open_of_storm, unheeded_of_storm
from bot.store.updates import is_news
from tocsin.times import current_ms

AT_ONCE = 100
SAME_MS = 60_000
"""A silence whose end this would change by less is the same: a second tap on one button."""


class Outcome(StrEnum):
    """already: it was so before. over: the incident has ended. unknown: there is none."""

    DONE = "done"
    ALREADY = "already"
    OVER = "over"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Handled:
    """What became of it, and the incident as it is now."""

    outcome: Outcome
    incident: Incident | None = None


@dataclass(frozen=True)
class Place:
    """A chat, or one topic of it; 0 = none, it was asked for on the page."""

    chat_id: int
    topic_id: int | None = None


@dataclass
class Handling:
    """Raises Unavailable while Postgres is. woken: called after a commit that wants messages."""

    database: Database
    alerts: Alerts
    woken: Callable[[], None]

    async def ack(self, incident_id: int, who: Person, *, episode: int | None = None) -> Handled:
        """Take an incident. episode: the one somebody saw; another has begun or ended since if it is not the same."""
        now_ms = current_ms()
        async with self.database.transaction() as session:
            row, incident, refused = await self._open(session, incident_id, episode)
            if row is None or incident is None:
                return refused
            taken = ack(incident, who, now_ms=now_ms)
            if taken is None:
                return Handled(Outcome.ALREADY, incident)
            await self.show(session, row, taken, now_ms)
            await _audit(session, who, "ack", _about(incident_id, taken))
        self.woken()
        return Handled(Outcome.DONE, taken)

    async def ack_storm(self, storm_id: int, who: Person) -> int:
        """Take every incident of a storm that nobody has; return how many."""
        async with self.database.transaction() as session:
            wanted = await unheeded_of_storm(session, storm_id)
        return await self.ack_all(wanted, who)

    async def ack_all(self, wanted: Sequence[tuple[int, int]], who: Person) -> int:
        """Take those of these incidents that nobody has, each in the episode that was seen; return how many."""
        taken = 0
        for at in range(0, len(wanted), AT_ONCE):
            taken += await self._ack_some(dict(wanted[at : at + AT_ONCE]), who)
        return taken

    async def _ack_some(self, wanted: Mapping[int, int], who: Person) -> int:
        """All in one transaction: a storm's message is written once, not once for each of its incidents."""
        now_ms = current_ms()
        steps: list[tuple[IncidentRow, Step]] = []
        async with self.database.transaction() as session:
            for row in await lock_numbered(session, wanted):
                taken = ack(to_incident(row), who, now_ms=now_ms) if row.episode == wanted[row.id] else None
                if taken is not None:
                    steps.append(_shown(session, row, taken))
                    await _audit(session, who, "ack", _about(row.id, taken))
            await self.alerts.tell(session, steps, now_ms=now_ms, at_once=True)
        if steps:
            self.woken()
        return len(steps)

    async def unack(self, incident_id: int, who: Person, *, episode: int | None = None) -> Handled:
        """Give an incident back: nobody has it any more."""
        now_ms = current_ms()
        async with self.database.transaction() as session:
            row, incident, refused = await self._open(session, incident_id, episode)
            if row is None or incident is None:
                return refused
            given = unack(incident, now_ms=now_ms)
            if given is None:
                return Handled(Outcome.ALREADY, incident)
            self.alerts.put_page_off(row, given.incident, now_ms)
            steps = [(write(session, row, given.incident), given)]
            await self.alerts.tell(session, steps, now_ms=now_ms, at_once=True)
            await _audit(session, who, "unack", _about(incident_id, given.incident))
        self.woken()
        return Handled(Outcome.DONE, given.incident)

    async def resolve(self, incident_id: int, who: Person, *, episode: int | None = None) -> Handled:
        """Call an incident over. Its failure rings anew when it returns; what a rule found, once it has been well."""
        now_ms = current_ms()
        async with self.database.transaction() as session:
            row, incident, refused = await self._open(session, incident_id, episode)
            if row is None or incident is None:
                return refused
            over = end(incident, now_ms=now_ms)
            await self.show(session, row, over, now_ms)
            await _audit(session, who, "resolve", _about(incident_id, over))
        self.woken()
        return Handled(Outcome.DONE, over)

    async def silence_incident(
        self, incident_id: int, who: Person, where: Place, *, minutes: int, episode: int | None = None
    ) -> Handled:
        """Keep this kind of failure of this queue quiet from now on."""
        now_ms = current_ms()
        async with self.database.transaction() as session:
            await keep_still(session)
            # Silences first, then incidents: see bot/store/incidents.py.
            found = await session.get(IncidentRow, incident_id)
            if found is None:
                return Handled(Outcome.UNKNOWN)
            scope = Scope(*to_incident(found).key)
            same = await hold_same(session, scope, is_maintenance=False)
            row, incident, refused = await self._open(session, incident_id, episode)
            if row is None or incident is None:
                return refused
            until_ms = now_ms + minutes * 60_000
            if same is not None and abs(until_ms - same.until_ms) < SAME_MS:
                return Handled(Outcome.ALREADY, incident)
            await self._silence(session, same, scope, who, where, until_ms, "", False, now_ms)
            incident = to_incident(row)
        self.woken()
        return Handled(Outcome.DONE, incident)

    async def silence(
        self, scope: Scope, who: Person, where: Place, *, until_ms: int, reason: str, is_maintenance: bool = False
    ) -> Silence:
        """Keep everything within a scope quiet; if exactly that is quiet already, change its end and its reason."""
        now_ms = current_ms()
        scope = Scope(*(key_part(part) for part in scope.parts))
        async with self.database.transaction() as session:
            await keep_still(session)
            same = await hold_same(session, scope, is_maintenance=is_maintenance)
            done = await self._silence(session, same, scope, who, where, until_ms, reason, is_maintenance, now_ms)
        self.woken()
        return done

    async def _silence(
        self,
        session: Session,
        same: SilenceRow | None,
        scope: Scope,
        who: Person,
        where: Place,
        until_ms: int,
        reason: str,
        is_maintenance: bool,
        now_ms: int,
    ) -> Silence:
        row = same or SilenceRow(from_ms=now_ms, hidden=0, kinds={}, ended_ms=None, ended_by="")
        row.is_maintenance = is_maintenance
        row.env, row.source, row.queue, row.fingerprint = scope.parts
        row.by_id, row.by_name, row.reason = who.user_id, stored(who.name, 100), stored(reason, 300)
        row.until_ms, row.chat_id, row.topic_id = until_ms, where.chat_id, where.topic_id
        session.add(row)
        await session.flush()
        silence = to_silence(row)
        await self.alerts.cover(session, silence, now_ms=now_ms, at_once=True)
        until = datetime.fromtimestamp(until_ms / 1000, UTC).isoformat(timespec="seconds")
        action = "maintenance" if is_maintenance else "silence"
        await _audit(session, who, action, f"#{row.id} {_scope(scope)}", f"until {until}")
        return silence

    async def end_silence(self, silence_id: int, who: Person) -> Silence | None:
        """End a silence before its time; None if it is not on."""
        now_ms = current_ms()
        async with self.database.transaction() as session:
            await keep_still(session)
            row = (await hold_silences(session, [silence_id])).get(silence_id)
            if row is None or row.ended_ms is not None:
                return None
            await self.alerts.end_silence(session, row, by=stored(who.name, 100), now_ms=now_ms)
            silence = to_silence(row)
            action = "end maintenance" if silence.is_maintenance else "end silence"
            await _audit(session, who, action, f"#{silence_id} {_scope(silence.scope)}")
        self.woken()
        return silence

    async def silences(self) -> list[Silence]:
        """What is kept quiet now."""
        async with self.database.transaction() as session:
            return await silences_on(session)

    async def note(self, chat_id: int, message_id: int, who: Person, text: str, *, update_id: int) -> list[Incident]:
        """Keep what somebody wrote in reply to a message of ours, once; return what that is about.

        Of a storm it is noted on what goes on, the worst AT_ONCE of it.
        """
        now_ms, steps = current_ms(), list[tuple[IncidentRow, Step]]()
        async with self.database.transaction() as session:
            about = await incident_of_message(session, chat_id, message_id)
            ids = await open_of_storm(session, chat_id, message_id, AT_ONCE) if about is None else [about]
            rows = await lock_numbered(session, ids)
            if not rows or not await is_news(session, update_id):
                return [to_incident(row) for row in rows]
            for row in rows:
                noted = note(to_incident(row), who, text, now_ms=now_ms)
                steps.append(_shown(session, row, noted))
                await _audit(session, who, NOTED, _about(row.id, noted))
            await self.alerts.tell(session, steps, now_ms=now_ms, at_once=True)
        self.woken()
        return [done.incident for _, done in steps]

    async def note_on(self, incident_id: int, who: Person, text: str) -> Incident | None:
        """Keep what somebody wrote about an incident; None if there is none."""
        now_ms = current_ms()
        async with self.database.transaction() as session:
            row = await lock_incident(session, incident_id)
            if row is None:
                return None
            noted = note(to_incident(row), who, text, now_ms=now_ms)
            await self.show(session, row, noted, now_ms)
            await _audit(session, who, NOTED, _about(row.id, noted))
        self.woken()
        return noted

    async def remember(self, kind: Scope, who: Person, text: str) -> None:
        """Keep what was done about a kind of failure, on its incidents; the audit has it from who did it."""
        now_ms = current_ms()
        only = {"source": [kind.source], "queue": [kind.queue], "fingerprint": [kind.fingerprint]}
        async with self.database.transaction() as session:
            found = await list_incidents(session, phases=(), only=only, before=None, limit=AT_ONCE)
            for row in await lock_numbered(session, [number for number, _ in found]):
                await self.show(session, row, note(to_incident(row), who, text, now_ms=now_ms), now_ms)
        self.woken()

    async def about(self, chat_id: int, message_id: int) -> int | None:
        """The id of the incident that a message of ours is about."""
        async with self.database.transaction() as session:
            return await incident_of_message(session, chat_id, message_id)

    async def _open(
        self, session: Session, incident_id: int, episode: int | None
    ) -> tuple[IncidentRow | None, Incident | None, Handled]:
        """An open incident, held; or why there is none."""
        row = await lock_incident(session, incident_id)
        if row is None:
            return None, None, Handled(Outcome.UNKNOWN)
        incident = to_incident(row)
        if incident.is_over or (episode is not None and episode != incident.episode):
            return None, None, Handled(Outcome.OVER, incident)
        return row, incident, Handled(Outcome.DONE, incident)

    async def show(self, session: Session, row: IncidentRow, incident: Incident, now_ms: int) -> None:
        """Write an incident that somebody changed, and let its messages say so at once."""
        await self.alerts.tell(session, [_shown(session, row, incident)], now_ms=now_ms, at_once=True)


def _shown(session: Session, row: IncidentRow, incident: Incident) -> tuple[IncidentRow, Step]:
    return write(session, row, incident), unheard(incident)


async def _audit(session: Session, who: Person, action: str, target: str, outcome: str = "done") -> None:
    """Write what somebody did, in the transaction that does it."""
    await audit.note(session, Actor.of(who), action, target, outcome)


def _about(number: int, incident: Incident) -> str:
    return f"#{number} {_scope(Scope(*incident.key))}"


def _scope(scope: Scope) -> str:
    named = zip(("env", "source", "queue", "fp"), scope.parts, strict=True)
    return " ".join(f"{word}={part}" for word, part in named if part)
