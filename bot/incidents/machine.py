"""The incident machine: what failures, people and time do to an incident (pure).

An incident is one kind of failure of one queue. It is new, then firing while the failure goes on; acked once somebody
has taken it, silenced while a silence covers it, resolved by quiet, and regressed when the failure returns: then a new
episode begins. Each episode has one message in each chat, edited in place; only what needs a person makes a sound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bot.incidents.failures import Key, LastFailure, Tally, spread, stored
from bot.rules.policy import Policy


class Phase(StrEnum):
    """new, regressed: seen once, for the first time anybody hears of it or again after that. firing: it goes on."""

    NEW = "new"
    FIRING = "firing"
    ACKED = "acked"
    SILENCED = "silenced"
    RESOLVED = "resolved"
    REGRESSED = "regressed"


UNHEEDED = frozenset((Phase.NEW, Phase.FIRING, Phase.REGRESSED))
"""Nobody has taken it, and nothing keeps it quiet."""


class Call(StrEnum):
    """What people hear of a step.

    ring: a new message. edit: the message they have is changed, without a sound. nudge: that, and a short new message
    below it. page: that, where it was brought to last; a message of its own, if it has none there. remind: a line in
    the reminder of all that nobody has taken. summary: a line in the summary of what was read late. hush: nothing, as
    it has no message: a silence covers it, or it is too few to ring.
    """

    RING = "ring"
    EDIT = "edit"
    NUDGE = "nudge"
    PAGE = "page"
    REMIND = "remind"
    SUMMARY = "summary"
    HUSH = "hush"


MOST_NOTES = 100
NOTE_LENGTH = 1000


@dataclass(frozen=True)
class Person:
    """Somebody who acts. user_id: Telegram's, 0 = none. name: as they call themselves. role: theirs at that moment.

    account: their id where they are no person of Telegram. address: where their browser was, if they used one.
    """

    user_id: int
    name: str
    role: str = ""
    account: str = ""
    address: str = ""

    @property
    def known_as(self) -> str:
        """Their id, for the audit."""
        return self.account or str(self.user_id)


@dataclass(frozen=True)
class Ack:
    """Who took an episode, and when (ms, our clock)."""

    user_id: int
    name: str
    at_ms: int


@dataclass(frozen=True)
class Paged:
    """Whom an episode was brought to by name, beside those who hear of its queue: a person, or another chat."""

    chat_id: int
    name: str
    at_ms: int
    topic_id: int | None = None
    is_person: bool = True

    @property
    def place(self) -> tuple[int, int | None]:
        return self.chat_id, self.topic_id


@dataclass(frozen=True)
class Deploy:
    """A version of a service that somebody marked as deployed."""

    at_ms: int
    service: str
    version: str
    by: str = ""


@dataclass(frozen=True)
class Note:
    """What somebody wrote about an incident, in which episode of it."""

    episode: int
    at_ms: int
    by: str
    text: str


@dataclass(frozen=True)
class Incident:
    """Times are ms: first and last seen by the Redis clock, the others by ours. touched: the last failure, or the end.

    count: failures of this episode, hidden of them under a silence; total: of all episodes. has_rung: this episode has
    its own message. told: when and at which count people last heard a sound about it. taken_by: who acked it last in
    this episode, also after that has ended. previous: the last episode before that rang, or that somebody took.
    deploy: the last one of its env before it began, not long before. paged: whom this episode was brought to by name.
    rule: the rule that found it; empty for failures. What a rule found ends when the rule says so, not by quiet.
    """

    key: Key
    phase: Phase
    episode: int
    count: int
    total: int
    first_ms: int
    last_ms: int
    touched_ms: int
    has_rung: bool
    last: LastFailure = field(default_factory=LastFailure)
    previous_ms: int | None = None
    previous_by: str = ""
    ack: Ack | None = None
    taken_by: str = ""
    silenced_until_ms: int | None = None
    hidden: int = 0
    told_ms: int = 0
    told_count: int = 0
    workers: Mapping[str, int] = field(default_factory=dict[str, int])
    notes: tuple[Note, ...] = ()
    rule: str = ""
    paged: tuple[Paged, ...] = ()
    deploy: Deploy | None = None

    @property
    def is_over(self) -> bool:
        return self.phase is Phase.RESOLVED

    @property
    def is_told(self) -> bool:
        """Whether people have heard of this episode: by its own message, or in the summary of what was read late."""
        return self.has_rung or self.told_count > 0

    @property
    def previous_note(self) -> Note | None:
        """The newest note of an earlier episode."""
        return next((one for one in reversed(self.notes) if one.episode < self.episode), None)


@dataclass(frozen=True)
class Step:
    """What became of an incident. added: failures it counted."""

    incident: Incident
    call: Call
    added: int = 0


def step(
    key: Key,
    before: Incident | None,
    seen: Tally,
    *,
    now_ms: int,
    policy: Policy,
    silenced_until_ms: int | None = None,
    rule: str = "",
) -> Step:
    """Apply a batch's failures of one key to its incident, or open one. silenced_until_ms: None = no silence."""
    if before is None or before.is_over:
        return _open(key, before, seen, now_ms, silenced_until_ms, rule)
    counted = replace(
        before,
        count=before.count + seen.count,
        total=before.total + seen.count,
        first_ms=min(before.first_ms, seen.first_ms),
        last_ms=max(before.last_ms, seen.last_ms),
        touched_ms=now_ms,
        last=seen.last if seen.last_ms >= before.last_ms else before.last,
        workers=spread(before.workers, seen.workers),
        hidden=before.hidden + (seen.count if silenced_until_ms is not None else 0),
    )
    after = _cover(counted, silenced_until_ms)
    if after.phase in UNHEEDED:
        after = replace(after, phase=Phase.FIRING)
    return _call(before, after, seen, policy)


def go_on(incident: Incident) -> Incident:
    """The same episode, though it was over: what quiet hours hold back and what returns meanwhile is told as one."""
    return replace(incident, phase=Phase.FIRING, ack=None) if incident.is_over else incident


def _call(before: Incident, after: Incident, seen: Tally, policy: Policy) -> Step:
    """Who is to hear that it goes on."""
    if after.phase is Phase.SILENCED:
        return Step(after, Call.EDIT if after.has_rung else Call.HUSH, seen.count)
    if not after.has_rung and after.count < seen.least:
        call = Call.HUSH
    elif not after.has_rung:
        call = Call.RING if seen.is_fresh else Call.SUMMARY
    elif after.ack is None and seen.is_fresh and (before.phase is Phase.SILENCED or _is_louder(after, policy)):
        call = Call.NUDGE
    else:
        call = Call.EDIT
    if call in (Call.RING, Call.NUDGE):
        after = replace(after, has_rung=True, told_ms=after.touched_ms, told_count=after.count)
    elif call is Call.SUMMARY:
        after = replace(after, told_count=after.count)
    return Step(after, call, seen.count)


def _is_louder(after: Incident, policy: Policy) -> bool:
    """Whether it is back after a silence, or its count has passed a step since people heard it, not just now."""
    if not after.told_count:
        return True
    is_quiet = after.touched_ms - after.told_ms >= policy.between_sounds_seconds * 1000
    return is_quiet and any(after.told_count < one <= after.count for one in policy.loud_counts)


def _open(
    key: Key, before: Incident | None, seen: Tally, now_ms: int, silenced_until_ms: int | None, rule: str
) -> Step:
    is_silenced = silenced_until_ms is not None
    is_hushed = is_silenced or seen.count < seen.least
    rings = seen.is_fresh and not is_hushed
    was_heard = before is not None and (before.has_rung or bool(before.taken_by))
    previous_ms = before.last_ms if before and was_heard else before.previous_ms if before else None
    previous_by = before.taken_by if before and was_heard else before.previous_by if before else ""
    phase = Phase.SILENCED if is_silenced else Phase.NEW if previous_ms is None else Phase.REGRESSED
    incident = Incident(
        key=key,
        phase=phase,
        episode=before.episode + 1 if before else 1,
        count=seen.count,
        total=seen.count + (before.total if before else 0),
        first_ms=seen.first_ms,
        last_ms=seen.last_ms,
        touched_ms=now_ms,
        has_rung=rings,
        last=seen.last,
        previous_ms=previous_ms,
        previous_by=previous_by,
        silenced_until_ms=silenced_until_ms,
        hidden=seen.count if is_silenced else 0,
        told_ms=now_ms,
        told_count=0 if is_hushed else seen.count,
        workers=seen.workers,
        notes=before.notes if before else (),
        rule=rule,
    )
    call = Call.RING if rings else Call.HUSH if is_hushed else Call.SUMMARY
    return Step(incident, call, seen.count)


def _cover(incident: Incident, silenced_until_ms: int | None) -> Incident:
    """The incident with a silence put over it or taken away."""
    if silenced_until_ms is not None:
        return replace(incident, phase=Phase.SILENCED, silenced_until_ms=silenced_until_ms)
    if incident.phase is not Phase.SILENCED:
        return incident
    phase = Phase.ACKED if incident.ack else Phase.FIRING
    return replace(incident, phase=phase, silenced_until_ms=None)


def ack(incident: Incident, who: Person, *, now_ms: int) -> Incident | None:
    """The incident taken by somebody; None if it is over, or somebody has it already."""
    if incident.is_over or incident.ack is not None:
        return None
    phase = incident.phase if incident.phase is Phase.SILENCED else Phase.ACKED
    name = stored(who.name, 100)
    return replace(incident, phase=phase, ack=Ack(who.user_id, name, now_ms), taken_by=name)


def unack(incident: Incident, *, now_ms: int) -> Step | None:
    """The incident given back by who had it; None if it is over, or nobody has it. A reminder waits its time."""
    if incident.is_over or incident.ack is None:
        return None
    phase = Phase.SILENCED if incident.phase is Phase.SILENCED else Phase.FIRING
    return unhidden(replace(incident, phase=phase, ack=None, told_ms=now_ms), now_ms=now_ms)


def cover(incident: Incident, silenced_until_ms: int | None, *, now_ms: int) -> Step | None:
    """Put a silence over an incident, change its end, or take it away; None where that changes nothing."""
    if incident.is_over:
        return None
    after = _cover(incident, silenced_until_ms)
    if after == incident:
        return None
    if after.phase is not Phase.SILENCED:
        # A reminder waits its time from now. What only a summary told of has nothing else that says people know of it.
        after = replace(after, told_ms=now_ms, told_count=0 if after.has_rung else after.told_count)
    return unhidden(after, now_ms=now_ms)


def unhidden(incident: Incident, *, now_ms: int) -> Step:
    """A change without a sound, unless it brings to light what a rule found and nobody was ever told of.

    Failures ring when they return. What a rule found says nothing more while it lasts, so it rings now or never.
    """
    if incident.rule and incident.phase in UNHEEDED and not incident.has_rung:
        return Step(replace(incident, has_rung=True, told_ms=now_ms, told_count=incident.count), Call.RING)
    return Step(incident, Call.EDIT if incident.has_rung else Call.HUSH)


def resolve(incident: Incident, *, now_ms: int, heard_ms: int, policy: Policy) -> Incident | None:
    """The incident resolved, or None while it is not quiet for long enough. heard_ms: all up to then is counted."""
    if incident.is_over or incident.rule or heard_ms - incident.touched_ms < policy.resolve_seconds * 1000:
        return None
    return end(incident, now_ms=now_ms)


def end(incident: Incident, *, now_ms: int) -> Incident:
    """The incident resolved."""
    return replace(incident, phase=Phase.RESOLVED, silenced_until_ms=None, touched_ms=now_ms)


def wait(incident: Incident, *, now_ms: int, policy: Policy) -> Step | None:
    """What time alone does: an ack ends, a reminder is due; None if neither. What nobody heard of is no reminder."""
    if incident.phase is Phase.ACKED and incident.ack and now_ms - incident.ack.at_ms >= policy.ack_seconds * 1000:
        after = replace(incident, phase=Phase.FIRING, ack=None, told_ms=now_ms)
        return Step(after, Call.REMIND) if after.is_told else unhidden(after, now_ms=now_ms)
    is_due = now_ms - incident.told_ms >= policy.remind_seconds * 1000
    if incident.phase in UNHEEDED and incident.is_told and is_due:
        return Step(replace(incident, told_ms=now_ms), Call.REMIND)
    return None


def note(incident: Incident, who: Person, text: str, *, now_ms: int) -> Incident:
    """The incident with what somebody wrote about it; beyond MOST_NOTES the oldest go."""
    one = Note(incident.episode, now_ms, stored(who.name, 100), stored(text.strip(), NOTE_LENGTH))
    return replace(incident, notes=(*incident.notes, one)[-MOST_NOTES:])
