"""What somebody wants done to jobs or a queue, and what became of it (pure).

An action is asked for (counted by the bridge, not begun), begun by a second tap, sent to the bridge, and then followed:
what the jobs come to is read from their own events.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from tocsin.events import JobEvent, State

ASK_SECONDS = 300.0
"""How long a count may be confirmed; after that it is counted anew."""
FOLLOW_SECONDS = 6 * 3600.0
"""How long jobs are followed; what has not ended by then is told as that."""
SEND_SECONDS = 900.0
"""How long the bridge is asked again and again; the same request does nothing twice."""

MOST_IDS = 10_000
"""Job ids of one request at most (docs/actions.md)."""

ON_JOBS = frozenset(("retry", "promote"))
WORKS: Mapping[str, str] = {"retry": "failed", "promote": "delayed"}
"""The state a job leaves by an action: only after that does what it comes to count."""


class Stage(StrEnum):
    """asked: waits for a second tap. begun: the bridge is to do it. following: done, and the jobs are on their way.

    ended: nothing more will change. cancelled: it was never begun. refused: the bridge did not do it. unknown: it may
    have, and did not say.
    """

    ASKED = "asked"
    BEGUN = "begun"
    FOLLOWING = "following"
    ENDED = "ended"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class Fate(StrEnum):
    """What became of one job. waits: acted on; nothing of that was seen yet. moving: it is on its way.

    gone: no longer there. passed: it was in another state already. refused: the bridge could not act on it.
    """

    WAITS = "waits"
    MOVING = "moving"
    COMPLETED = "completed"
    FAILED = "failed"
    GONE = "gone"
    PASSED = "passed"
    REFUSED = "refused"


OPEN = frozenset((Fate.WAITS, Fate.MOVING))
_OUTCOMES: Mapping[str, Fate] = {
    "done": Fate.WAITS,
    "gone": Fate.GONE,
    "not_failed": Fate.PASSED,
    "not_delayed": Fate.PASSED,
}


@dataclass(frozen=True)
class Action:
    """Times are ms. wanted: the bridge's `job_ids` or `filter`; empty for a queue. count: as the bridge counted it.

    incident_id: the incident it was asked for at. kind: of the failures, for people. offset: of the jobs topic, where
    the events of the queue are read on; None = not known yet. sent_ms: since when the bridge may be at it; None = it
    has not heard of it.
    """

    id: int
    stage: Stage
    action: str
    env: str
    source: str
    queue: str
    wanted: Mapping[str, Any]
    count: int
    incident_id: int | None
    kind: str
    by: str
    asked_ms: int
    begun_ms: int | None = None
    ended_ms: int | None = None
    sent_ms: int | None = None
    offset: int | None = None
    note: str = ""
    fates: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def request_id(self) -> str:
        """Names it at the bridge, which does it once however often it is sent."""
        return f"bot-{self.id}-{self.asked_ms}"

    @property
    def is_on_jobs(self) -> bool:
        return self.action in ON_JOBS

    def counted(self, fate: Fate) -> int:
        return self.fates.get(fate.value, 0)

    @property
    def open(self) -> int:
        """Jobs that have not ended."""
        return sum(self.counted(one) for one in OPEN)

    @property
    def total(self) -> int:
        """Jobs it was about."""
        return sum(self.fates.values())


def counted(wanted: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """What was wanted, without the jobs that a dry run told of: they were not counted, and may be ready later.

    A filter needs none of that: it ends at the time of the count.
    """
    if "job_ids" not in wanted:
        return dict(wanted)
    left_out = {one["job_id"] for one in told.get("results", [])}
    return {**wanted, "job_ids": [one for one in wanted["job_ids"] if one not in left_out]}


def fates_of(results: Iterable[Mapping[str, Any]]) -> dict[str, Fate]:
    """Job -> what the bridge says of it."""
    return {str(one["job_id"]): _OUTCOMES.get(str(one["outcome"]), Fate.REFUSED) for one in results}


def follow(fates: Mapping[str, Fate], action: str, events: Iterable[JobEvent]) -> dict[str, Fate]:
    """What these events change. A job counts once it was seen to leave the state it was in; its first end counts."""
    changed: dict[str, Fate] = {}
    for event in events:
        fate = changed.get(event.job_id) or fates.get(event.job_id)
        if fate is None or fate not in OPEN:
            continue
        after = _after(fate, action, event)
        if after is not fate:
            changed[event.job_id] = after
    return changed


def _after(fate: Fate, action: str, event: JobEvent) -> Fate:
    if fate is Fate.WAITS:
        # Ends seen before that are of the run before: the relay may be a little behind.
        if event.prev == WORKS[action] and event.state in (State.WAITING, State.ACTIVE):
            return Fate.MOVING
        if event.state is State.REMOVED:
            return Fate.GONE
        return fate
    match event.state:
        case State.COMPLETED:
            return Fate.COMPLETED
        case State.FAILED:
            return Fate.FAILED
        case State.REMOVED:
            return Fate.GONE
        case _:
            return fate


def count(fates: Iterable[Fate]) -> dict[str, int]:
    """How many jobs of each fate."""
    return dict(Counter(one.value for one in fates))


def ended(action: Action, *, now_ms: int) -> Action | None:
    """The action when nothing more will change; None while something may."""
    is_late = action.begun_ms is not None and now_ms - action.begun_ms >= FOLLOW_SECONDS * 1000
    if action.stage is not Stage.FOLLOWING or (action.open and not is_late):
        return None
    return replace(action, stage=Stage.ENDED, ended_ms=now_ms)
