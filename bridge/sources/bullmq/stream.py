"""Where we are in a queue's event stream, and what was lost: pure arithmetic over XINFO and XREAD.

XREAD after a trimmed id silently goes on at the oldest entry. XINFO's `entries-added` never decreases, so the position
of the first entry present is entries-added - length + 1, and everything before it that we have not passed is lost.
Both are read in one MULTI. Needs Redis 7 or Valkey; older servers have no such counter.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import msgspec

from bridge.errors import BridgeError, SourceUnavailable
from bridge.sources.bullmq.door import Command, Refused, Reply, is_about_key

FIRST_EPOCH = 1
COMMANDS_PER_READ = 4


class Unreadable(BridgeError):
    """Redis refuses this stream: the key holds something else, or may not be read. Others may be fine."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time of which entries were lost: Redis's clock, ms, from the last entry passed to the first still there."""

    start_ms: int
    end_ms: int


MAX_GAPS = 8


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream was read.

    pos: entries of this epoch ever passed, read or counted lost. gaps: those not rebuilt yet, at most MAX_GAPS.
    is_gone: the queue was told to be no more, though its stream was there still, and not read since.
    """

    last_id: str = "0-0"
    pos: int = 0
    epoch: int = FIRST_EPOCH
    baseline_id: str = "0-0"
    is_first_contact: bool = False
    gaps: tuple[Gap, ...] = ()
    is_gone: bool = False

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
    """XINFO STREAM. added: None without the counter. has_deletions: somebody used XDEL; counts then differ."""

    length: int
    last_generated_id: str
    added: int | None
    first_id: str | None
    has_deletions: bool = False


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
    or after somebody's XDEL, the last one there was).
    is_reset: the stream was deleted or begun anew; entries are then empty and position points at its start.
    is_full: there may be more right now.
    """

    entries: list[Entry]
    position: Position
    lost: int = 0
    lost_from: str = ""
    lost_to: str = ""
    is_reset: bool = False
    is_full: bool = False


@lru_cache(maxsize=1024)
def order(entry_id: str) -> tuple[int, int]:
    """A stream id as numbers, in the stream's own order."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def read_commands(key: str, position: Position, count: int) -> list[Command]:
    """The COMMANDS_PER_READ commands of one exact read."""
    return [
        ("MULTI",),
        ("XINFO", "STREAM", key),
        ("XREAD", "COUNT", count, "STREAMS", key, position.last_id),
        ("EXEC",),
    ]


def parse(replies: Sequence[Reply]) -> tuple[Info | None, list[Entry]]:
    """Replies to `read_commands` -> the stream's state (None: no such key) and the entries after the position.

    Raises Unreadable if Redis refuses this stream, SourceUnavailable if it refuses more than that.
    """
    executed = replies[-1]
    answers = cast(list[Reply], executed) if isinstance(executed, list) else list(replies)
    info, read = answers[0], answers[1]
    if isinstance(info, Refused) and "no such key" in str(info):
        return None, []
    for answer in answers:
        if isinstance(answer, Refused):
            raise (Unreadable if is_about_key(answer) else SourceUnavailable)(str(answer))
    return _parse_info(info), entries_of(read[0][1]) if read else []


def advance(position: Position, info: Info | None, entries: list[Entry], count: int) -> Reading:
    """Move on by one read: tell what came, what was lost, and whether the stream is another one than before.

    A stream that a failover has cut short is told anew from its start, as backfill as far as it was told before: that
    has rung already. In one that was deleted and begun anew every id is newer.

    After somebody's XDEL the counters no longer say where the missing entries were; how many is exact again whenever
    the end of the stream is reached.
    """
    if _is_another(position, info, entries, count):
        begun = Position(epoch=position.epoch + 1, baseline_id=max(position.baseline_id, position.last_id, key=order))
        return Reading([], begun, is_reset=True, is_full=info is not None)
    if info is None:
        met = replace(position, is_first_contact=False, is_gone=False)
        return Reading([], met)  # what it will hold is all new
    is_full = len(entries) >= count and entries[-1].id != info.last_generated_id
    lost = _lost(position, info, len(entries), is_full=is_full)
    moved = replace(
        position,
        last_id=entries[-1].id if entries else (info.last_generated_id if lost else position.last_id),
        pos=position.pos + lost + len(entries),
        is_first_contact=False,
        is_gone=False,
    )
    if lost == 0 or position.is_first_contact:
        return Reading(entries, moved, is_full=is_full)
    lost_to = entries[0].id if entries and not info.has_deletions else moved.last_id
    moved = replace(moved, gaps=_with_gap(position, lost_to))
    return Reading(entries, moved, lost=lost, lost_from=position.last_id, lost_to=lost_to, is_full=is_full)


def _with_gap(position: Position, lost_to: str) -> tuple[Gap, ...]:
    """The gaps with one more; what was there before Tocsin is none's business. The oldest are joined when too many."""
    start = max(position.last_id, position.baseline_id, key=order)
    gaps = (*position.gaps, Gap(order(start)[0], max(order(start)[0], order(lost_to)[0])))
    if len(gaps) <= MAX_GAPS:
        return gaps
    return (Gap(min(gaps[0].start_ms, gaps[1].start_ms), max(gaps[0].end_ms, gaps[1].end_ms)), *gaps[2:])


def _lost(position: Position, info: Info, read: int, *, is_full: bool) -> int:
    if info.added is None:
        return 0
    if info.has_deletions and not is_full:
        return max(0, info.added - position.pos - read)
    return max(0, info.added - info.length - position.pos)


def _is_another(position: Position, info: Info | None, entries: list[Entry], count: int) -> bool:
    """Whether this cannot be the stream the position was taken in.

    A new stream that was already trimmed beyond the old position looks as if the old one had been: it is told as a gap.
    """
    if position.pos == 0 and position.last_id == "0-0":
        return False
    if info is None or order(info.last_generated_id) < order(position.last_id):
        return True
    if info.added is None:
        return False
    if info.added < position.pos:
        return True
    if info.has_deletions:
        return False
    trimmed = max(0, info.added - info.length)
    if trimmed < position.pos and info.first_id is not None and order(info.first_id) > order(position.last_id):
        return True  # entries we passed should still be there, and are not
    if len(entries) < count and position.last_id != "0-0":
        return max(trimmed, position.pos) + len(entries) != info.added and info.length > 0
    return False


def _parse_info(reply: Reply) -> Info:
    flat = cast(list[Any], reply)
    fields = {_text(flat[at]): flat[at + 1] for at in range(0, len(flat), 2)}
    first = fields.get("first-entry")
    return Info(
        length=fields["length"],
        last_generated_id=_text(fields["last-generated-id"]),
        added=fields.get("entries-added"),
        first_id=_text(first[0]) if first else None,
        has_deletions=_text(fields.get("max-deleted-entry-id", "0-0")) != "0-0",
    )


def entries_of(raws: Sequence[Reply]) -> list[Entry]:
    """`[id, [field, value, …]]`, as texts or as bytes, -> entries.

    Texts are quicker by half a microsecond an entry: hiredis makes them at once.
    """
    if raws and isinstance(raws[0][0], bytes):
        raws = [(_text(entry_id), [_text(part) for part in flat]) for entry_id, flat in raws]
    found: list[Entry] = []
    for entry_id, flat in cast(Sequence[tuple[str, list[str]]], raws):
        texts = iter(flat)
        fields = dict(zip(texts, texts, strict=False))
        event, job_id = fields.get("event", ""), fields.get("jobId", "")
        found.append(Entry(entry_id, fields, event, job_id, int(entry_id.partition("-")[0]), len("".join(flat))))
    return found


def _text(raw: str | bytes) -> str:
    return raw if isinstance(raw, str) else raw.decode(errors="replace")
