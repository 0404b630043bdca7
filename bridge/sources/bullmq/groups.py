"""A reading translated -> groups of records, each with the cursor that follows them: pure.

A group is committed whole. A big reading becomes several, so that no transaction outgrows its deadline; the cursor of
each says where to go on if the next is not committed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq import stream, translate
from bridge.sources.bullmq.cursors import no_open_pages, open_cursor, open_cursors, queue_cursor
from bridge.sources.bullmq.enrich import JobHash
from bridge.sources.bullmq.reconcile.open_jobs import OpenJobs
from bridge.sources.bullmq.stream import Entry, Position, Reading
from bridge.sources.bullmq.translate import Bad, Place, Translated
from tocsin.events import JobEvent

GROUP_BYTES = 1024 * 1024


@dataclass(slots=True)
class Batch:
    """One queue's reading on its way to records. entries: those of the reading that can be understood already."""

    reading: Reading
    entries: Sequence[Entry]
    hashes: dict[str, JobHash | None] = field(default_factory=dict[str, JobHash | None])


@dataclass(slots=True)
class Group:
    """Records to be committed together, and what to count then."""

    records: list[Record] = field(default_factory=list[Record])
    events: list[JobEvent] = field(default_factory=list[JobEvent])
    lost: int = 0
    bad: int = 0


def cut_back(reading: Reading) -> tuple[Reading, Sequence[Entry]]:
    """Hold the last entry of a full reading back when it cannot be understood without the next."""
    entries = reading.entries
    if reading.is_full and len(entries) > 1 and translate.is_cut_short(entries):
        return _first(reading, len(entries) - 1)
    return reading, entries


def cut(reading: Reading, count: int) -> tuple[Reading, Sequence[Entry]]:
    """The first `count` entries of a reading, or one less; with none of them it must not be handed on."""
    return cut_back(_first(reading, count)[0]) if count else (reading, [])


def _first(reading: Reading, count: int) -> tuple[Reading, Sequence[Entry]]:
    entries = reading.entries[:count]
    behind = reading.position.pos - (len(reading.entries) - count)
    position = replace(reading.position, last_id=entries[-1].id, pos=behind)
    return replace(reading, entries=entries, position=position, is_full=True), entries


def groups(
    site: str,
    records: Records,
    place: Place,
    batch: Batch,
    translated: Translated,
    now: int,
    beside: Mapping[int, Sequence[Record]],
) -> list[Group]:
    """Make the groups of one batch, in the stream's order; at least one. beside: what is committed with an entry."""
    made = [Group()]
    for notice in _notices(place, batch.reading, now):
        made[0].events.append(notice)
        made[0].records.append(records.job(notice))
        made[0].lost = batch.reading.lost
    told, told_records = translated.told, _records(records, place, translated, now)
    begin, count, position = 0, len(told), batch.reading.position
    for end in _ends(told_records, beside):
        group = made[-1]
        group.records += told_records[begin:end]
        group.records += [record for at in sorted(beside) if begin <= at < end for record in beside[at]]
        group.bad = sum(isinstance(one, Bad) for one in told[begin:end]) if translated.bad else 0
        group.events += [one for one in told[begin:end] if not isinstance(one, Bad)]
        if translated.is_paused is not None:
            position = replace(position, is_paused=is_paused_after(group.events, position.is_paused))
        if end < count:
            behind = replace(position, last_id=batch.entries[end - 1].id, pos=position.pos - (count - end))
            group.records.append(cursor(site, records, place, behind, now))
            made.append(Group())
        begin = end
    made[-1].records.append(cursor(site, records, place, position, now))
    return made


def is_paused_after(events: Sequence[JobEvent], before: bool | None) -> bool | None:
    """Whether a queue is paused after these, as far as is told."""
    pauses = [translate.PAUSES[event.event] for event in events if not event.job_id and event.event in translate.PAUSES]
    return pauses[-1] if pauses else before


def _ends(records: Sequence[Record], beside: Mapping[int, Sequence[Record]]) -> list[int]:
    """Behind which of them a group ends: each holds about GROUP_BYTES."""
    ends: list[int] = []
    size = 0
    for end, record in enumerate(records, 1):
        size += record.size
        if end - 1 in beside:
            size += sum(one.size for one in beside[end - 1])
        if size >= GROUP_BYTES:
            ends.append(end)
            size = 0
    return ends if size == 0 else [*ends, len(records)]


def _records(records: Records, place: Place, translated: Translated, now: int) -> list[Record]:
    """What became of each entry, as a record."""
    made = records.jobs(place.source, place.queue, translated.events)
    if not translated.bad:
        return made
    jobs = iter(made)
    return [records.dead_letter(place, one, now) if isinstance(one, Bad) else next(jobs) for one in translated.told]


def cursor(site: str, records: Records, place: Place, position: Position, now: int) -> Record:
    """The record of a queue's position."""
    return records.cursor(*queue_cursor(site, place.source, place.queue, position, now))


def open_jobs(site: str, records: Records, place: Place, position: Position, jobs: OpenJobs | None, now: int) -> Record:
    """The record of a queue's open jobs as of a position; None = the queue is gone."""
    return records.cursor(*open_cursor(site, place.source, place.queue, position, jobs, now))


def all_open_jobs(
    site: str, records: Records, place: Place, position: Position, jobs: OpenJobs, now: int
) -> list[Record]:
    """The records of all of a queue's open jobs, to be committed together."""
    return [records.cursor(*page) for page in open_cursors(site, place.source, place.queue, position, jobs, now)]


def no_pages(site: str, records: Records, place: Place, last: int) -> list[Record]:
    """Take back the pages of open jobs behind the first, up to the last."""
    return [records.cursor(*page) for page in no_open_pages(site, place.source, place.queue, last)]


def _notices(place: Place, reading: Reading, now: int) -> list[JobEvent]:
    if reading.is_reset:
        return [translate.stream_reset(place, reading, now)]
    if reading.lost:
        return [translate.gap(place, reading, stream.order(reading.lost_to)[0])]
    return []
