"""Incidents to messages: which chats hear what of a step. All of it inside the caller's transaction."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bot.delivery.channels import (
    Channel,
    What,
    matching,
    subject_of,
    told_of,
)
from bot.delivery.messages import Buttons
from bot.incidents.failures import Key, Tally, key_part
from bot.incidents.found import found, unheard
from bot.incidents.late import count_kind, label
from bot.incidents.latecomers import Latecomers
from bot.incidents.machine import (
    UNHEEDED,
    Call,
    Deploy,
    Incident,
    Paged,
    Step,
    cover,
    go_on,
    resolve,
    step,
    wait,
)
from bot.incidents.reminders import together
from bot.incidents.silences import Silence, quiet_until
from bot.incidents.storming import Storming
from bot.metrics import Metrics
from bot.people.seal import Seal
from bot.render.alert import (
    Links,
    alert_buttons,
    alert_text,
    brought_text,
    nudge_text,
)
from bot.render.incidents import REMINDER_BUTTONS, TOP, digest_text, maintenance_over_text, reminder_text
from bot.render.markup import plain
from bot.routing.chats import Chats
from bot.routing.duty import Turn, others
from bot.routing.quiet import quiet_until_ms
from bot.routing.routes import Destination
from bot.rules.board import Finding
from bot.rules.policy import Policy
from bot.rules.rulebook import RuleBook
from bot.store.database import Session
from bot.store.dispatches import dispatch_round
from bot.store.duty import duty_now, read_turns
from bot.store.incidents import (
    held_places,
    lock_covered,
    lock_due_pages,
    lock_held,
    lock_incidents,
    lock_quiet,
    lock_waiting,
    mark_told,
    read_incidents,
    to_incident,
    unheeded_now,
    write,
)
from bot.store.models import IncidentRow, SilenceRow
from bot.store.outbox import (
    DIGEST,
    INCIDENT,
    NOTICE,
    NUDGE,
    Rewrite,
    Subject,
    nudge,
    nudge_in,
    put,
    put_reminder,
    rewrite_incidents,
)
from bot.store.silences import hold_covering, hold_ended, silences_on, to_silence

ANEW = (Call.RING, Call.SUMMARY)
"""Whoever hears of an episode hears of it first by one of these; a summary's may be followed by its ring."""
AT_ONCE = 100
MOST_HELD, MOST_WOKEN, MOST_DUE = 2000, 10, 2000


@dataclass
class Alerts:
    """Turn failures, people's acts and time into incidents and wanted messages. woken: see Handling."""

    chats: Chats
    book: RuleBook
    metrics: Metrics
    links: Links
    seal: Seal
    channels: Sequence[Channel] = ()
    deploy_before: Callable[[str, int], Deploy | None] = lambda env, at_ms: None
    woken: Callable[[], None] = lambda: None
    unrouted: int = field(default=0)

    @property
    def policy(self) -> Policy:
        """What incidents go by now."""
        return self.book.policy

    @property
    def storming(self) -> Storming:
        return Storming(self.policy, self.chats, self.metrics, self.links, self.seal, self.channels)

    @property
    def latecomers(self) -> Latecomers:
        return Latecomers(self.policy, self.chats, self.links, self.channels)

    async def record(self, session: Session, tallies: Mapping[Key, Tally], *, now_ms: int) -> int:
        """Apply a batch to its incidents; return how many ring."""
        if not tallies:
            return 0
        failed_ms = {key: min(now_ms, seen.failed_ms) for key, seen in tallies.items()}
        silences = await hold_covering(session, tallies, after_ms=min(failed_ms.values()))
        rows = await lock_incidents(session, tallies)
        steps: list[tuple[IncidentRow, Step]] = []
        for key in sorted(tallies):
            row = rows.get(key)
            before = to_incident(row) if row else None
            if row is not None and row.held_ms is not None and before is not None:
                before = go_on(before)
            then_on = {number: one for number, one in silences.items() if one.until_ms > failed_ms[key]}
            until_ms = quiet_until((to_silence(one) for one in then_on.values()), key)
            done = step(key, before, tallies[key], now_ms=now_ms, policy=self.policy, silenced_until_ms=until_ms)
            steps.append((write(session, row, done.incident), done))
            _count_hidden(then_on, done)
        await session.flush()  # all rows at once; the new ones have ids now
        await self.tell(session, steps, now_ms=now_ms)
        return sum(done.call is Call.RING for _, done in steps)

    async def find(self, session: Session, findings: Sequence[Finding], *, now_ms: int) -> int:
        """Let incidents be as rules found it; return how many ring. What is known already changes nothing."""
        keys = {one.spot.key: one for one in findings}
        silences = await hold_covering(session, keys, after_ms=now_ms)
        rows = await lock_incidents(session, keys)
        steps: list[tuple[IncidentRow, Step]] = []
        for key, one in sorted(keys.items()):
            row = rows.get(key)
            until_ms = quiet_until((to_silence(silence) for silence in silences.values()), key)
            done = found(one, to_incident(row) if row else None, now_ms, self.policy, until_ms)
            if done is not None:
                steps.append((write(session, row, done.incident), done))
                _count_hidden(silences, done)
        await session.flush()
        await self.tell(session, steps, now_ms=now_ms)
        return sum(done.call is Call.RING for _, done in steps)

    async def resolve_quiet(
        self, session: Session, *, now_ms: int, heard_ms: int, sources: Sequence[str], most: int = AT_ONCE
    ) -> int:
        """Resolve incidents of these sources that were quiet for long enough by heard_ms; return how many.

        heard_ms: everything up to then is counted. Their messages say so, unheard.
        """
        before_ms = heard_ms - int(self.policy.resolve_seconds * 1000)
        rows = await lock_quiet(session, before_ms, [key_part(one) for one in sources], most)
        steps: list[tuple[IncidentRow, Step]] = []
        for row in rows:
            incident = resolve(to_incident(row), now_ms=now_ms, heard_ms=heard_ms, policy=self.policy)
            if incident is not None:
                steps.append((write(session, row, incident), unheard(incident)))
        await self.tell(session, steps, now_ms=now_ms)
        return len(steps)

    async def wait(self, session: Session, *, now_ms: int, most: int = MOST_DUE) -> int:
        """Remind of what nobody has taken, and of what was taken too long ago; return how many incidents."""
        rows = await lock_waiting(
            session,
            told_before_ms=now_ms - int(self.policy.remind_seconds * 1000),
            acked_before_ms=now_ms - int(self.policy.ack_seconds * 1000),
            limit=most,
        )
        due: list[int] = []
        given_back: list[tuple[IncidentRow, Step]] = []
        for row in rows:
            before = to_incident(row)
            done = wait(before, now_ms=now_ms, policy=self.policy)
            if done is not None:
                if done.call is Call.REMIND:
                    due.append(row.id)
                self.put_page_off(row, done.incident, now_ms)
                write(session, row, done.incident)
                if before.ack is not None:
                    given_back.append((row, done))
        await session.flush()
        await self.tell(session, given_back, now_ms=now_ms)
        await self._remind(session, due, now_ms=now_ms)
        return len(due)

    async def _remind(self, session: Session, due: Collection[int], *, now_ms: int) -> None:
        """Remind of all that nobody has taken, in every place where one of these is due; the next time is the same."""
        if not due:
            return
        unheeded = await unheeded_now(session)
        reached = together(due, {one.id: self.chats.hear_of(one.key, one.paged) for one in unheeded})
        await mark_told(session, {number for several in reached.values() for number in several}, now_ms=now_ms)
        shown = await read_incidents(session, {one for several in reached.values() for one in several[:TOP]})
        for to, several in reached.items():
            worst = [(number, shown[number]) for number in several[:TOP] if number in shown]
            text = reminder_text(worst, count=len(several), now_ms=now_ms)
            await put_reminder(session, to, text, REMINDER_BUTTONS, now_ms=now_ms)
            self.metrics.sounded.labels("reminder").inc()

    async def end_silences(self, session: Session, *, now_ms: int, most: int = AT_ONCE) -> int:
        """End what has had its time; return how many."""
        rows = await hold_ended(session, now_ms, most)
        for row in rows:
            await self.end_silence(session, row, by="", now_ms=now_ms)
        return len(rows)

    async def end_silence(self, session: Session, row: SilenceRow, *, by: str, now_ms: int) -> None:
        """End a silence; what it covered is heard again, and a maintenance tells what it hid. by: empty = its time."""
        row.ended_ms, row.ended_by = now_ms, by
        await session.flush()
        silence = to_silence(row)
        await self.cover(session, silence, now_ms=now_ms)
        if silence.is_maintenance:
            text = maintenance_over_text(silence, by=by, now_ms=now_ms)
            asked_in = [Destination(row.chat_id, row.topic_id)] if row.chat_id else []
            for to in asked_in or self.chats.all_destinations(silence.scope.env):
                put(session, Subject(NOTICE), to, text, (), now_ms=now_ms)

    async def cover(self, session: Session, silence: Silence, *, now_ms: int, at_once: bool = False) -> None:
        """Let open incidents within a silence's scope be as the silences now say."""
        on, after = await silences_on(session), None
        while rows := await lock_covered(session, silence.scope, after):
            steps: list[tuple[IncidentRow, Step]] = []
            for row in rows:
                incident = to_incident(row)
                after = incident.key
                done = cover(incident, quiet_until(on, incident.key), now_ms=now_ms)
                if done is not None:
                    self.put_page_off(row, done.incident, now_ms)
                    steps.append((write(session, row, done.incident), done))
            await self.tell(session, steps, now_ms=now_ms, at_once=at_once)

    def put_page_off(self, row: IncidentRow, after: Incident, now_ms: int) -> None:
        """Before a change is written: what nobody has again, or what is heard again, gives the first as long as new."""
        if row.page_due_ms is not None and row.phase not in UNHEEDED and after.phase in UNHEEDED:
            row.page_due_ms = now_ms + int(self.policy.escalate_seconds * 1000)

    async def tell(
        self, session: Session, steps: Sequence[tuple[IncidentRow, Step]], *, now_ms: int, at_once: bool = False
    ) -> None:
        """Want the messages of these steps. Their incidents are written and have ids. at_once: see the outbox."""
        edits: list[Rewrite] = []
        for row, done in steps:
            if done.call in ANEW:
                row.held_ms = now_ms if self._is_quiet(done.incident, now_ms) else None
        steps = [self._with_deploy(session, row, done) for row, done in steps]
        steps = await self._page(session, steps, now_ms=now_ms)
        await self.storming.gather(session, steps, now_ms=now_ms)
        for row, done in steps:
            match done.call:
                case Call.RING if row.held_ms is not None:
                    pass
                case Call.RING if row.storm_id is not None:
                    self._note_unrouted(not self._places(done.incident))
                case Call.RING:
                    self.ring(session, row, done.incident, self._places(done.incident), now_ms=now_ms)
                    await self.tell_channels(session, row, done.incident, now_ms=now_ms)
                case Call.SUMMARY | Call.HUSH:
                    pass
                case Call.EDIT | Call.NUDGE | Call.PAGE | Call.REMIND:
                    edits.append(self._edit(row, done.incident))
                    await self.tell_channels(session, row, done.incident, now_ms=now_ms)
        await rewrite_incidents(session, edits, now_ms=now_ms, at_once=at_once)
        await self.storming.show(session, steps, now_ms=now_ms)
        for row, done in steps:
            if row.storm_id is not None:  # a storm makes sounds of its own
                continue
            if done.call is Call.PAGE:
                await self._bring(session, row, done.incident, now_ms=now_ms)
            if done.call is Call.NUDGE:
                buttons = alert_buttons(row.id, done.incident, self.links, self.seal)
                await nudge(session, Rewrite(row.id, row.episode, nudge_text(done.incident), buttons), now_ms=now_ms)
                self.metrics.sounded.labels(NUDGE).inc()
        late = [done for row, done in steps if done.call is Call.SUMMARY and row.held_ms is None]
        self._note_unrouted(await self.latecomers.tell(session, late, now_ms=now_ms))

    def _with_deploy(self, session: Session, row: IncidentRow, done: Step) -> tuple[IncidentRow, Step]:
        """Let an incident tell the last deploy before it began, as soon as that is known."""
        incident = done.incident
        if incident.deploy is not None or incident.is_over or not incident.has_rung:
            return row, done
        found = self.deploy_before(incident.key.env, incident.first_ms)
        if found is None:
            return row, done
        told = replace(incident, deploy=found)
        return write(session, row, told), replace(done, incident=told)

    def _is_quiet(self, incident: Incident, now_ms: int) -> bool:
        return quiet_until_ms(self.policy.quiet_hours, *incident.key[:3], now_ms) is not None

    async def tell_digest(self, session: Session, *, now_ms: int, most: int = MOST_HELD) -> int:
        """Tell what was held back in quiet hours that are over; return how many incidents. The rest waits on.

        What goes on is from now on an alert like any other: brought to who is on call and to the channels, with a
        message of its own, or beyond MOST_WOKEN in a storm's.
        """
        woken: list[tuple[IncidentRow, Incident]] = []
        hours = self.policy.quiet_hours
        over = [one for one in await held_places(session) if quiet_until_ms(hours, *one, now_ms) is None]
        for row in await lock_held(session, over[:most], most) if over else ():
            incident = to_incident(row)
            row.rung_ms, row.held_ms = row.held_ms or now_ms, None
            if row.page_due_ms is not None:  # since before it was held
                row.page_due_ms = now_ms + int(self.policy.escalate_seconds * 1000)
            incident = replace(incident, has_rung=True, told_ms=now_ms)  # a reminder waits its time from now
            woken.append((write(session, row, incident), incident))
        goes_on = sorted((one for one in woken if not one[1].is_over), key=lambda one: (-one[1].count, one[0].id))
        unheeded = [(row, Step(one, Call.RING)) for row, one in goes_on if one.phase in UNHEEDED]
        paged = {row.id: done.incident for row, done in await self._page(session, unheeded, now_ms=now_ms)}
        told: dict[Destination, list[tuple[int, Incident]]] = {}
        for row, incident in woken:
            for to in self._places(paged.get(row.id, incident)):
                told.setdefault(to, []).append((row.id, incident))
        for to, held in told.items():
            put(session, Subject(DIGEST), to, digest_text(held, now_ms=now_ms), REMINDER_BUTTONS, now_ms=now_ms)
        for row, incident in goes_on[:MOST_WOKEN]:  # below the digest, which has made the sound
            incident = paged.get(row.id, incident)
            silently = [replace(to, is_silent=True) for to in self._places(incident)]
            self.ring(session, row, incident, silently, now_ms=now_ms)
            await self.tell_channels(session, row, incident, now_ms=now_ms)
        others = goes_on[MOST_WOKEN:]
        self._note_unrouted(sum(not self._places(paged.get(row.id, incident)) for row, incident in others))
        await self.storming.wake(session, [row for row, _ in others], now_ms=now_ms)
        return len(woken)

    def _places(self, incident: Incident) -> list[Destination]:
        """Who hears of an incident: the chats of its queue, and whom it was brought to by name."""
        return self.chats.hear_of(incident.key, [one.place for one in incident.paged])

    async def _page(
        self, session: Session, steps: Sequence[tuple[IncidentRow, Step]], *, now_ms: int
    ) -> Sequence[tuple[IncidentRow, Step]]:
        """Bring what people hear of first to whoever is on call, and note when the next one is to hear of it."""
        if not any(done.call in ANEW for _, done in steps):
            return steps
        duty = await duty_now(session, now_ms)
        paged = (Paged(duty.user_id, duty.name, now_ms),) if duty else ()
        due_ms = now_ms + int(self.policy.escalate_seconds * 1000)
        brought: list[tuple[IncidentRow, Step]] = []
        for row, done in steps:
            is_brought = bool(done.incident.paged) or row.page_due_ms is not None
            if done.call in ANEW and row.held_ms is None and not is_brought:
                done = replace(done, incident=replace(done.incident, paged=paged))
                write(session, row, done.incident)
                row.page_due_ms = due_ms if paged or self.policy.escalate_to else None
            brought.append((row, done))
        return brought

    async def escalate(self, session: Session, *, now_ms: int, most: int = AT_ONCE) -> int:
        """Bring what nobody has taken in time to the next one; return how many incidents.

        What only a summary has told of rings by itself then, for everybody, once quiet hours are over.
        """
        rows = await lock_due_pages(session, now_ms, most)
        if not rows:
            return 0
        rota, steps = await read_turns(session), list[tuple[IncidentRow, Step]]()
        for row in rows:
            incident = to_incident(row)
            is_late = not incident.has_rung
            if is_late and self._is_quiet(incident, now_ms):
                row.page_due_ms = now_ms + int(self.policy.escalate_seconds * 1000)
                continue
            following = next_page(incident.paged, rota, self.policy.escalate_to, now_ms)
            row.page_due_ms = now_ms + int(self.policy.escalate_seconds * 1000) if following else None
            if following is None:
                continue
            brought = replace(incident, paged=(*incident.paged, following))
            if is_late:
                brought = replace(brought, has_rung=True, told_ms=now_ms)
            steps.append((write(session, row, brought), Step(brought, Call.RING if is_late else Call.PAGE)))
        await session.flush()
        await self.tell(session, steps, now_ms=now_ms)
        return len(steps)

    async def _bring(self, session: Session, row: IncidentRow, incident: Incident, *, now_ms: int) -> None:
        """Let whom an incident was brought to last hear of it: below its message, where they have that already."""
        newest = incident.paged[-1]
        to = self.chats.moved(Destination(newest.chat_id, newest.topic_id))
        buttons = alert_buttons(row.id, incident, self.links, self.seal)
        below = Rewrite(row.id, row.episode, brought_text(incident), buttons)
        if not await nudge_in(session, to, below, now_ms=now_ms):
            self.ring(session, row, incident, [to], now_ms=now_ms)
        self.metrics.sounded.labels("escalation").inc()

    def ring(
        self, session: Session, row: IncidentRow, incident: Incident, places: Sequence[Destination], *, now_ms: int
    ) -> None:
        """Want an incident's own message in each of these places."""
        text, buttons = self._card(row, incident)
        about = Subject(INCIDENT, row.id, row.episode)
        for to in places:
            put(session, about, to, text, buttons, now_ms=now_ms)
        self._note_unrouted(not places)

    def _note_unrouted(self, alerts: int) -> None:
        self.unrouted += alerts
        self.metrics.unrouted.inc(alerts)

    async def tell_channels(self, session: Session, row: IncidentRow, incident: Incident, *, now_ms: int) -> None:
        """Want the channels beside Telegram to hear that it rings, is taken or is over; each once."""
        what = what_of(incident)
        names = [one.name for one in matching(self.channels, *incident.key[:3])]
        if not names or what is None or row.storm_id is not None or row.held_ms is not None:
            return
        text = plain(alert_text(incident, number=row.id, runbook=self.links.runbook(incident.key)))
        told = told_of(row.id, incident, text, self.links.page_of(incident))
        await dispatch_round(session, names, subject_of(row.id, row.episode), what, told, now_ms=now_ms)

    def _edit(self, row: IncidentRow, incident: Incident) -> Rewrite:
        return Rewrite(row.id, row.episode, *self._card(row, incident))

    def _card(self, row: IncidentRow, incident: Incident) -> tuple[str, Buttons]:
        text = alert_text(incident, number=row.id, runbook=self.links.runbook_as_text(incident.key))
        return text, alert_buttons(row.id, incident, self.links, self.seal)


def what_of(incident: Incident) -> What | None:
    """What channels that cannot be edited hear of an incident as it is now; None = nothing new."""
    if incident.is_over:
        return What.RESOLVE
    if incident.ack is not None:
        return What.ACK
    return What.RING if incident.has_rung and incident.phase in UNHEEDED else None


def next_page(paged: Sequence[Paged], rota: Sequence[Turn], chain: Sequence[Destination], now_ms: int) -> Paged | None:
    """Who comes after those it was brought to: the others of the rota, then the chain; None = nobody is left."""
    before = {one.place for one in paged}
    first = paged[0].chat_id if paged else 0
    people = [Paged(one.user_id, one.name, now_ms) for one in others(rota, first, now_ms)]
    chats = [Paged(one.chat_id, f"chat {one.chat_id}", now_ms, one.topic_id, is_person=False) for one in chain]
    return next((one for one in (*people, *chats) if one.place not in before), None)


def _count_hidden(silences: Mapping[int, SilenceRow], done: Step) -> None:
    """Count what a step added to every silence that covers it."""
    for row in silences.values() if done.added else ():
        if to_silence(row).scope.covers(done.incident.key):
            row.hidden += done.added
            row.kinds = count_kind(row.kinds, label(done), done.added)
