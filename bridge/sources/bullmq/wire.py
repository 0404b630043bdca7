"""What is asked of Redis about a stream, and what its answers say: pure.

A whole read is XINFO and XREAD in one MULTI, and begins with the last entry passed. As long as that is there nothing
behind it was trimmed: a stream that was read to its end can be followed by an XREAD alone, at a fraction of the cost,
since XINFO brings the stream's first and last entry each time. Only an entry that somebody deleted by XDEL is missed
so; the next whole read counts it.
"""

from collections.abc import Sequence
from typing import Any, cast

from bridge.errors import BridgeError, SourceUnavailable
from bridge.sources.bullmq.door import Command, Refused, Reply, is_about_key
from bridge.sources.bullmq.stream import Entry, Info, Position, order


class Unreadable(BridgeError):
    """Redis refuses this stream: the key holds something else, or may not be read. Others may be fine."""


def read_commands(key: str, position: Position, count: int) -> list[Command]:
    """The commands of one whole read: of the last entry passed, and `count` after it."""
    return [
        ("MULTI",),
        ("XINFO", "STREAM", key),
        ("XREAD", "COUNT", count + 1, "STREAMS", key, _before(position.last_id)),
        ("EXEC",),
    ]


def follow_command(key: str, position: Position, count: int) -> Command:
    """A read of what follows the last entry passed: of that entry, `count` after it, and one more if there is."""
    return ("XREAD", "COUNT", count + 2, "STREAMS", key, _before(position.last_id))


def _before(entry_id: str) -> str:
    """The greatest id before this one."""
    milliseconds, sequence = order(entry_id)
    if sequence:
        return f"{milliseconds}-{sequence - 1}"
    return f"{milliseconds - 1}-{2**64 - 1}" if milliseconds else entry_id


def parse(position: Position, replies: Sequence[Reply]) -> tuple[Info | None, list[Entry]]:
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
    raws: Sequence[Reply] = read[0][1] if read else []
    holds_last = bool(raws) and _text(raws[0][0]) == position.last_id
    return _parse_info(info, holds_last=holds_last), entries_of(raws[1:] if holds_last else raws)


def follow(position: Position, reply: Reply, count: int) -> tuple[Info, list[Entry]] | None:
    """The reply to `follow_command` -> what `parse` tells; None = only a whole read tells what became of the stream.

    The stream's state is what it must be if nothing was deleted since the position: as far as it was read now.
    """
    raws: Sequence[Reply] = [] if isinstance(reply, Refused) or not reply else reply[0][1]
    if not raws or _text(raws[0][0]) != position.last_id:
        return None
    entries = entries_of(raws[1:])
    newest = entries[-1].id if entries else position.last_id
    info = Info(len(raws), newest, position.pos + len(entries), first_id=position.last_id, holds_last=True)
    return info, entries[:count]


def _parse_info(reply: Reply, *, holds_last: bool) -> Info:
    flat = cast(list[Any], reply)
    fields = {_text(flat[at]): flat[at + 1] for at in range(0, len(flat), 2)}
    first = fields.get("first-entry")
    return Info(
        length=fields["length"],
        last_generated_id=_text(fields["last-generated-id"]),
        added=fields.get("entries-added"),
        first_id=_text(first[0]) if first else None,
        has_deletions=_text(fields.get("max-deleted-entry-id", "0-0")) != "0-0",
        holds_last=holds_last,
    )


def entries_of(raws: Sequence[Reply]) -> list[Entry]:
    """`[id, [field, value, …]]`, as texts or as bytes, -> entries.

    Texts are quicker by half a microsecond an entry: hiredis makes them at once.
    """
    if raws and isinstance(raws[0][0], bytes):
        raws = [(_text(entry_id), [_text(part) for part in flat]) for entry_id, flat in raws]
    found: list[Entry] = []
    time, ts = "", 0
    for entry_id, flat in cast(Sequence[tuple[str, list[str]]], raws):
        fields = _pairs(flat)
        its_time = entry_id.partition("-")[0]
        if its_time != time:  # many are of one millisecond
            time, ts = its_time, int(its_time)
        event, job_id = fields.get("event", ""), fields.get("jobId", "")
        found.append(Entry(entry_id, fields, event, job_id, ts, len("".join(flat))))
    return found


def _pairs(flat: list[str]) -> dict[str, str]:
    """Field names and their values, in order. Most entries have two to four of them: so it takes a third."""
    match flat:
        case [name, value, second, its, third, third_value]:
            return {name: value, second: its, third: third_value}
        case [name, value, second, its]:
            return {name: value, second: its}
        case [name, value, second, its, third, third_value, fourth, fourth_value]:
            return {name: value, second: its, third: third_value, fourth: fourth_value}
        case _:
            parts = iter(flat)
            return dict(zip(parts, parts, strict=False))


def _text(raw: str | bytes) -> str:
    return raw if isinstance(raw, str) else raw.decode(errors="replace")
