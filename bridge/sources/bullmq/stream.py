"""Where we are in a queue's event stream, and what was lost: pure arithmetic over XINFO and XREAD.

XREAD after a trimmed id silently goes on at the oldest entry. XINFO's `entries-added` never decreases, so the position
of the first entry present is entries-added - length + 1, and everything before it that we have not passed is lost.
Both are read in one MULTI. Needs Redis 7 or Valkey; older servers have no such counter.

Each read begins with the last entry passed: if that is there no more although it cannot have been trimmed, the stream
is another, or lost its end by a failover, whatever came since. That is known before anything is handed on.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec

FIRST_EPOCH = 1


@dataclass(frozen=True, slots=True)
class Gap:
    """A time of which entries were lost: Redis's clock, ms, from the last entry passed to the first still there."""

    start_ms: int
    end_ms: int


MAX_GAPS = 8
MOST_RECENT = 500


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream was read.

    pos: entries of this epoch ever passed, read or counted lost. gaps: those not rebuilt yet, at most MAX_GAPS.
    is_gone: the queue was told to be no more, though its stream was there still, and not read since. jobs_added: the
    queue's own counter (`id`) when it was looked at last, which begins anew with the queue; 0 = unknown. is_paused: as
    was told last, or found when the queue was met; None = unknown.
    """

    last_id: str = "0-0"
    pos: int = 0
    epoch: int = FIRST_EPOCH
    baseline_id: str = "0-0"
    is_first_contact: bool = False
    gaps: tuple[Gap, ...] = ()
    is_gone: bool = False
    jobs_added: int = 0
    is_paused: bool | None = None

    def is_backfill(self, entry_id: str) -> bool:
        """Whether an entry was there before Tocsin."""
        return self.baseline_id != "0-0" and order(entry_id) <= order(self.baseline_id)

    def count_backfill(self, entries: Sequence["Entry"]) -> int:
        """How many of these, from the first, were there before Tocsin."""
        if self.baseline_id == "0-0":
            return 0
        return bisect_right(entries, order(self.baseline_id), key=lambda entry: order(entry.id))


@dataclass(frozen=True, slots=True)
class Info:
    """XINFO STREAM. added: None without the counter. has_deletions: somebody used XDEL; counts then differ.

    holds_last: the last entry passed is still there.
    """

    length: int
    last_generated_id: str
    added: int | None
    first_id: str | None
    has_deletions: bool = False
    holds_last: bool = False


class Entry(msgspec.Struct, eq=True, gc=False):
    """One stream entry, made by `entries_of`; bytes that are not UTF-8 were replaced.

    event: BullMQ's word for what happened; "" = this is no event. job_id: the job it is about; "" for the queue as a
    whole. ts: Redis's clock, ms. size: characters of its fields. A struct, since there is one for every event there
    ever was.
    """

    id: str
    fields: dict[str, str]
    event: str
    job_id: str
    ts: int
    size: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One read of a stream.

    lost: entries trimmed between lost_from (the last id passed) and lost_to (the first present; where none is present,
    or after somebody's XDEL, the last one there was). passed: the last id passed, which after an XDEL may be later.
    is_reset: the stream is another than before; entries are then empty. position points at its start, or where its last
    entries were lost at what is left of them.
    is_miscounted: the last entry passed is there, but not where it was counted; position is counted anew.
    is_full: there may be more right now.
    """

    entries: list[Entry]
    position: Position
    lost: int = 0
    lost_from: str = ""
    lost_to: str = ""
    passed: str = ""
    is_reset: bool = False
    is_miscounted: bool = False
    is_full: bool = False


class Recent:
    """The last entries passed, at most MOST_RECENT: by them a stream that a failover has cut short is known again."""

    def __init__(self) -> None:
        self._ids: deque[str] = deque(maxlen=MOST_RECENT)
        self._pos = 0

    def pass_on(self, reading: Reading) -> None:
        """These were read now."""
        if reading.lost:
            self._ids.clear()
        while reading.is_reset and self._ids and self._ids[-1] != reading.position.last_id:
            self._ids.pop()
        self._ids.extend([entry.id for entry in reading.entries[-MOST_RECENT:]])
        self._pos = reading.position.pos

    def last_in(self, newest_first: Sequence[str]) -> tuple[str, int] | None:
        """The last entry passed that these ids hold, and how many had been passed with it; None = they hold none.

        It is what both have in common from the oldest on: behind it another entry may have the id of one that is lost.
        """
        known = {entry_id: at for at, entry_id in enumerate(self._ids)}
        oldest = next((at for at in range(len(newest_first) - 1, -1, -1) if newest_first[at] in known), None)
        if oldest is None:
            return None
        at = known[newest_first[oldest]]
        for entry_id in reversed(newest_first[:oldest]):
            if at + 1 == len(self._ids) or self._ids[at + 1] != entry_id:
                break
            at += 1
        return self._ids[at], self._pos - (len(self._ids) - 1 - at)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._ids

    def shrink(self, most: int) -> None:
        """Know no more than so many."""
        while len(self._ids) > most:
            self._ids.popleft()

    def __len__(self) -> int:
        return len(self._ids)


@lru_cache(maxsize=1024)
def order(entry_id: str) -> tuple[int, int]:
    """A stream id as numbers, in the stream's own order."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def advance(
    position: Position, info: Info | None, entries: list[Entry], count: int, sure_id: str | None = None
) -> Reading:
    """Move on by one read: tell what came, what was lost, and whether the stream is another one than before.

    Where it is another, it is read from its start, as backfill as far as ids go that were told before: that has rung
    already. In one that was deleted and begun anew every id is newer; one that a failover has cut short can be gone on
    with (`go_on`), if an entry is known again. Once it is read to its end nothing that comes is backfill, by any clock.

    After somebody's XDEL the counters no longer say where the missing entries were; how many is exact again whenever
    the end of the stream is reached. A counter that does not fit though the last entry is there (Redis 6, which has
    none, became Redis 7) is taken over. sure_id: see following.py.
    """
    if _is_another(position, info):
        return begin_anew(position, is_there=info is not None)
    if info is None:
        met = replace(position, is_first_contact=False, is_gone=False)
        return Reading([], met)  # what it will hold is all new
    is_full = len(entries) >= count and entries[-1].id != info.last_generated_id
    lost = _lost(position, info, len(entries), is_full=is_full)
    counted = position.pos + lost + len(entries)
    pos = counted if info.added is None else min(counted, info.added) if is_full else info.added
    moved = replace(
        position,
        last_id=entries[-1].id if entries else (info.last_generated_id if lost else position.last_id),
        pos=pos,
        is_first_contact=False,
        is_gone=False,
    )
    if not is_full:
        moved = replace(moved, baseline_id=min(moved.baseline_id, moved.last_id, key=order))
    if lost == 0 or position.is_first_contact:
        return Reading(entries, moved, is_miscounted=pos != counted, is_full=is_full)
    lost_from = (
        min(sure_id or position.last_id, position.last_id, key=order) if info.has_deletions else position.last_id
    )
    lost_to = entries[0].id if entries and not info.has_deletions else info.last_generated_id
    moved = replace(moved, gaps=_with_gap(position, lost_from, lost_to))
    passed = position.last_id
    return Reading(entries, moved, lost=lost, lost_from=lost_from, lost_to=lost_to, passed=passed, is_full=is_full)


def begin_anew(position: Position, *, is_there: bool) -> Reading:
    """The stream is another than before: read it from its start."""
    begun = Position(epoch=position.epoch + 1, baseline_id=max(position.baseline_id, position.last_id, key=order))
    return Reading([], begun, is_reset=True, is_full=is_there)


def go_on(position: Position, recent: Recent, newest_first: Sequence[str]) -> Reading | None:
    """Where to go on in a stream whose last entries a failover has lost; None = no entry is known again, or all are.

    newest_first: ids of its entries up to the position. Those behind the last that is known came after the failover,
    by a clock that is behind. Their ids may be those of lost ones: it is a new epoch. Jobs may be lost, too, and be
    counted again.
    """
    last = recent.last_in(newest_first)
    if last is None or last[0] == position.last_id:
        return None
    left = replace(position, last_id=last[0], pos=last[1], epoch=position.epoch + 1, jobs_added=0)
    return Reading([], left, is_reset=True, is_full=True)


def _with_gap(position: Position, lost_from: str, lost_to: str) -> tuple[Gap, ...]:
    """The gaps with one more; what was there before Tocsin is none's business. The oldest are joined when too many."""
    start = max(lost_from, position.baseline_id, key=order)
    gaps = (*position.gaps, Gap(order(start)[0], max(order(start)[0], order(lost_to)[0])))
    if len(gaps) <= MAX_GAPS:
        return gaps
    return (Gap(min(gaps[0].start_ms, gaps[1].start_ms), max(gaps[0].end_ms, gaps[1].end_ms)), *gaps[2:])


def _lost(position: Position, info: Info, read: int, *, is_full: bool) -> int:
    if info.added is None:
        return 0
    if info.has_deletions and not is_full:
        return max(0, info.added - position.pos - read)
    return 0 if info.holds_last else max(0, info.added - info.length - position.pos)


def _is_another(position: Position, info: Info | None) -> bool:
    """Whether this cannot be the stream the position was taken in.

    A new stream that was already trimmed beyond the old position looks as if the old one had been: the queue's counter
    tells the two apart (`Position.jobs_added`), else it is told as a gap.
    """
    if position.pos == 0 and position.last_id == "0-0":
        return False
    if info is None or order(info.last_generated_id) < order(position.last_id):
        return True
    if info.added is None or info.holds_last:
        return False
    if info.added < position.pos:
        return True
    if info.has_deletions:
        return False
    is_trimmed = info.added - info.length >= position.pos
    holds_older = info.first_id is not None and order(info.first_id) < order(position.last_id)
    return not is_trimmed or holds_older  # what is trimmed goes from the oldest on
