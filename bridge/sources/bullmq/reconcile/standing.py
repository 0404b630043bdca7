"""Where Redis says a job stands, and what follows when that contradicts what was told: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from bridge.redaction import redact
from bridge.sources.bullmq import stream, wire
from bridge.sources.bullmq.door import Command, Refused, Reply
from bridge.sources.bullmq.enrich import whole
from bridge.sources.bullmq.gaps.told import ENDS
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.reconcile.open_jobs import OpenJob, OpenJobs
from bridge.sources.bullmq.stream import Entry, Position
from bridge.sources.bullmq.translate import STATES, Place
from tocsin.events import JobEvent, State

LISTS = ("active", "wait", "paused")
SETS = ("delayed", "prioritized", "waiting-children")
LISTED = 10_000
"""Ids looked at in each list and set. `wait` and `paused` give those that are next."""

PRIORITY_UNIT = 2**32
DUE_UNIT = 4096
"""A delayed job's score is its due time (ms) times this, and some more."""

WAITING = frozenset({"wait", "paused", "prioritized"})
PLACES: Mapping[State, frozenset[str]] = {
    State.WAITING: WAITING,
    State.STALLED: WAITING,
    State.RETRYING: WAITING | {"delayed"},
    State.DELAYED: frozenset({"delayed"}),
    State.ACTIVE: frozenset({"active"}),
    State.WAITING_CHILDREN: frozenset({"waiting-children"}),
}
"""Where a job of which this was told may stand."""

STATE_AT = {
    "active": State.ACTIVE,
    "wait": State.WAITING,
    "paused": State.WAITING,
    "prioritized": State.WAITING,
    "delayed": State.DELAYED,
    "waiting-children": State.WAITING_CHILDREN,
    "completed": State.COMPLETED,
    "failed": State.FAILED,
}

# -- all jobs of a queue, roughly: its lists


@dataclass(slots=True)
class Inventory:
    """The first LISTED ids of each place, read one after the other. priorities: of those in `prioritized`."""

    ids: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    cut: set[str] = field(default_factory=set[str])
    priorities: dict[str, int] = field(default_factory=dict[str, int])

    def place_of(self, job_id: str) -> str | None:
        return next((place for place, ids in self.ids.items() if job_id in ids), None)


def inventory_commands(keys: Keys) -> list[Command]:
    """One command a place."""
    lists: list[Command] = [("LRANGE", keys.of(name), -LISTED, -1) for name in LISTS]
    sets: list[Command] = [("ZRANGE", keys.of(name), 0, LISTED - 1) for name in ("delayed", "waiting-children")]
    return [*lists, *sets, ("ZRANGE", keys.of("prioritized"), 0, LISTED - 1, "WITHSCORES")]


def parse_inventory(replies: Sequence[Reply]) -> Inventory | None:
    """None if Redis refuses any of it: half an inventory is none."""
    if any(isinstance(reply, Refused) for reply in replies):
        return None
    found = Inventory()
    for name, reply in zip((*LISTS, "delayed", "waiting-children"), replies, strict=False):
        found.ids[name] = _ids(reply)
    flat = cast(list[bytes], replies[-1])
    scores = zip(flat[::2], flat[1::2], strict=True)
    found.priorities = {_text(job_id): whole(score) // PRIORITY_UNIT for job_id, score in scores}
    found.ids["prioritized"] = set(found.priorities)
    found.cut = {name for name, ids in found.ids.items() if len(ids) >= LISTED}
    return found


def suspects(jobs: OpenJobs, found: Inventory) -> tuple[list[str], list[str]]:
    """Jobs that do not stand where they were told to be, and those that may, out of sight in a list that was cut."""
    missing: list[str] = []
    unseen: list[str] = []
    for job_id, job in jobs.items():
        places = PLACES[job.state]
        if any(job_id in found.ids[place] for place in places):
            if job.priority is not None and _priority_seen(job_id, found, job.priority) != job.priority:
                missing.append(job_id)
        elif found.cut.isdisjoint(places):
            missing.append(job_id)
        else:
            unseen.append(job_id)
    return missing, unseen


def delayed(jobs: OpenJobs, found: Inventory) -> dict[str, int]:
    """The priority last known of each job that is delayed, as was told: no list shows it."""
    ids = found.ids["delayed"]
    return {
        job_id: job.priority
        for job_id, job in jobs.items()
        if job.priority is not None and job_id in ids and "delayed" in PLACES[job.state]
    }


def _priority_seen(job_id: str, found: Inventory, known: int) -> int:
    if job_id in found.priorities:
        return found.priorities[job_id]
    return 0 if job_id in found.ids["wait"] or job_id in found.ids["paused"] else known


def strangers(jobs: OpenJobs, found: Inventory) -> dict[str, str]:
    """Jobs that stand in Redis and of which nothing is known here, with their places.

    Not those whose ids records do not show as Redis has them: see OpenJobs.told.
    """
    return {
        job_id: place
        for place, ids in found.ids.items()
        for job_id in ids
        if job_id not in jobs
        and "\ufffd" not in job_id
        and not job_id.startswith("0:")
        and redact.identifier(job_id) == job_id
    }


# -- one job, exactly

NOWHERE = "its hash is there, but it stands in no list or set of the queue: no worker will ever take it"
"""BullMQ moves a job in one script: it is never on its way."""

ENTRIES_A_QUESTION = 1_000
"""Entries read with a question; if there are more, they must be read first."""


class Unread(Exception):
    """The stream has more that must be read first, or Redis refuses it: then nothing is certain."""


def unread_entries(position: Position, executed: Sequence[Reply]) -> list[Entry]:
    """The entries after a position, by what a MULTI begun with `wire.read_commands` answered.

    Raises Unread: also where entries were lost that nobody has noticed yet. That gap is mended first; of a queue that
    loses on and on, what is lost besides will never be told, and where a job stands now is true.
    """
    try:
        info, entries = wire.parse(position, [list(executed[:2])])
    except wire.Unreadable as error:
        raise Unread from error
    reading = stream.advance(position, info, entries, ENTRIES_A_QUESTION)
    if reading.is_reset or reading.is_full or (reading.lost and not position.gaps):
        raise Unread
    return entries


def told_by(entries: Sequence[Entry]) -> set[str]:
    """Jobs of which these entries tell where they are; a `deduplicated` of one does not."""
    return {entry.job_id for entry in entries if STATES.get(entry.event, State.UNKNOWN) is not State.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Standing:
    """A job at one moment. place: None = in none that was looked at. at: of an end, when it was (finishedOn, ms).

    is_in_sight False: it may stand where nobody looked: a list was longer than that, or it is in a group of BullMQ Pro.
    """

    place: str | None
    has_hash: bool
    name: str = ""
    added_at: int = 0
    priority: int = 0
    at: int = 0
    is_in_sight: bool = True


HASHED = ("name", "timestamp", "priority", "gid")
COMMANDS_PER_JOB = 1 + len(SETS) + len(ENDS)


def lists_commands(keys: Keys) -> list[Command]:
    """The lists, in which no job can be looked up."""
    return [("LRANGE", keys.of(name), -LISTED, -1) for name in LISTS]


def job_commands(keys: Keys, job_id: str) -> list[Command]:
    """COMMANDS_PER_JOB commands."""
    return [
        ("HMGET", keys.job(job_id), *HASHED),
        *(("ZSCORE", keys.of(name), job_id) for name in (*SETS, *ENDS)),
    ]


def parse_answers(ids: Sequence[str], replies: Sequence[Reply]) -> dict[str, Standing | None] | None:
    """Where jobs stand, by replies to `lists_commands` and each one's `job_commands`; None if the lists are refused."""
    lists = parse_lists(replies[: len(LISTS)])
    if lists is None:
        return None
    of_jobs = replies[len(LISTS) :]
    mine = [of_jobs[at : at + COMMANDS_PER_JOB] for at in range(0, len(of_jobs), COMMANDS_PER_JOB)]
    return {job_id: parse_job(job_id, answer, lists) for job_id, answer in zip(ids, mine, strict=True)}


def parse_lists(replies: Sequence[Reply]) -> dict[str, set[str]] | None:
    """None if one is refused."""
    if any(isinstance(reply, Refused) for reply in replies):
        return None
    return {name: _ids(reply) for name, reply in zip(LISTS, replies, strict=True)}


def parse_job(job_id: str, replies: Sequence[Reply], lists: Mapping[str, set[str]]) -> Standing | None:
    """Where a job stands; None if Redis refuses to say."""
    if any(isinstance(reply, Refused) for reply in replies):
        return None
    hashed, scores = cast(list[bytes | None], replies[0]), dict(zip((*SETS, *ENDS), replies[1:], strict=True))
    name, added, priority, group = hashed
    place = next((name for name, score in scores.items() if score is not None), None)
    if place is None:
        place = next((name for name, ids in lists.items() if job_id in ids), None)
    return Standing(
        place,
        has_hash=any(value is not None for value in hashed),
        name=redact.name(_text(name or b"")),
        is_in_sight=group is None and all(len(ids) < LISTED for ids in lists.values()),
        added_at=whole(added),
        priority=whole(priority),
        at=whole(scores.get(place)) if place in ENDS else 0,
    )


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be told of a job instead, and the evidence. priority: the present one, where known."""

    state: State
    evidence: str
    priority: int | None = None


def correct(job_id: str, job: OpenJob, standing: Standing) -> Correction | None:
    """What to tell of a job that was told otherwise; None where nothing contradicts, or nothing is certain."""
    if standing.has_hash and job.added_at and standing.added_at and job.added_at != standing.added_at:
        return Correction(State.REMOVED, "its id belongs to a job added later")
    if standing.place is None and not standing.has_hash:
        return Correction(State.REMOVED, _end(job_id, job))
    if standing.place is None:
        return Correction(State.UNKNOWN, NOWHERE) if standing.is_in_sight else None
    if not standing.has_hash:
        return None
    if standing.place not in PLACES[job.state]:
        evidence = f"it stands in `{standing.place}`, and no event said so"
        return Correction(STATE_AT[standing.place], evidence, standing.priority)
    if job.priority is not None and job.priority != standing.priority:
        evidence = f"its priority is now {standing.priority}, was {job.priority}"
        return Correction(STATE_AT[standing.place], evidence, standing.priority)
    return None


REPLACED = Correction(State.REMOVED, "the queue's stream was begun anew, and its id belongs to a job added later")


def orphaned(job: OpenJob, standing: Standing) -> Correction | None:
    """The same for a job of a stream that was begun anew; None = it lives on."""
    if not standing.has_hash:
        return Correction(
            State.REMOVED, "the queue's stream was begun anew and the job's hash is gone: obliterated, or flushed"
        )
    return REPLACED if job.added_at and standing.added_at and job.added_at != standing.added_at else None


def reconciled(place: Place, epoch: int, job_id: str, job: OpenJob, found: Correction, ts: int) -> JobEvent:
    """The record of a change that no event told of."""
    return place.record(
        "reconciled",
        epoch=epoch,
        tail=f"c:{job_id}:{job.added_at}:{found.state}:{ts}",
        ts=ts,
        state=found.state,
        prev=job.state,
        job_id=job_id,
        job_name=job.name,
        added_at=job.added_at,
        attempt=job.attempt,
        scheduler=job.scheduler or _scheduler(job_id),
        message=found.evidence,
    )


def _end(job_id: str, job: OpenJob) -> str:
    nowhere = "neither its hash nor any list of the queue holds it"
    if job.state is State.ACTIVE:
        return f"{nowhere}: cleaned, or it ended unseen and was removed by removeOnComplete or removeOnFail"
    if job.scheduler or _scheduler(job_id):
        return f"replaced by its scheduler, drained or cleaned: {nowhere}"
    return f"drained, cleaned, or removed with others: {nowhere}"


def _scheduler(job_id: str) -> str:
    """`repeat:<scheduler>:<ms>`: the scheduler may hold colons."""
    head, _, planned = job_id.rpartition(":")
    is_iteration = head.startswith("repeat:") and planned.isdecimal()
    return redact.identifier(head.removeprefix("repeat:")) if is_iteration else ""


def _ids(reply: Reply) -> set[str]:
    return {_text(job_id) for job_id in cast(list[bytes], reply)}


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
