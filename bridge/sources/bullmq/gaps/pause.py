"""Rebuilds that a queue was paused or resumed in a gap: by whether it is now, which BullMQ keeps in its `meta`."""

from typing import cast

from bridge.sources.bullmq import wire
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.reconcile import standing
from bridge.sources.bullmq.stream import Gap, Position
from bridge.sources.bullmq.translate import PAUSES, Place
from tocsin.events import JobEvent

WITHOUT = "that a queue was paused or resumed in a gap is not rebuilt"
EVIDENCE = "found so after events were lost; when that was is not known"


async def is_otherwise(door: Door, keys: Keys, position: Position) -> bool:
    """Whether a queue is paused or not, otherwise than was told: roughly, some entry may say so yet.

    Raises SourceUnavailable.
    """
    if position.is_paused is None:
        return False
    asked = _command(keys)
    (reply,) = await door.ask([asked])
    door.say_any_refused([asked], [reply], without=WITHOUT)
    return not isinstance(reply, Refused) and _is_paused(reply) != position.is_paused


async def rebuild_pause(door: Door, place: Place, keys: Keys, position: Position, gap: Gap) -> JobEvent | None:
    """The record of it; None = it is as was told, or an unread entry says it. position: the queue is read up to there.

    Raises Unread, and SourceUnavailable.
    """
    if position.is_paused is None:
        return None
    opening = wire.read_commands(keys.events, position, standing.ENTRIES_A_QUESTION)[:-1]
    commands = [*opening, _command(keys), ("EXEC",)]
    *queued, executed = await door.ask(commands)
    if isinstance(executed, Refused):
        door.say_any_refused(commands, [*queued, executed], without=WITHOUT)
        return None
    answers = cast(list[Reply], executed)
    unread = standing.unread_entries(position, answers)
    is_said = any(entry.event in PAUSES and not entry.job_id for entry in unread)
    if is_said or isinstance(answers[-1], Refused) or _is_paused(answers[-1]) == position.is_paused:
        return None
    event = "resumed" if position.is_paused else "paused"
    tail = f"r:{event}:{gap.end_ms}"
    return place.record(event, epoch=position.epoch, tail=tail, ts=gap.end_ms, message=EVIDENCE, rebuilt=True)


def _command(keys: Keys) -> Command:
    return ("HMGET", keys.meta, "paused")


def _is_paused(reply: Reply) -> bool:
    return cast(list[bytes | None], reply)[0] is not None
