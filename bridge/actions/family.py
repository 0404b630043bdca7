"""The queues that a job's removal would reach: BullMQ removes a job's children with it, whatever queue they are in."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import cast

from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.keys import Keys

MOST_KIN = 1_000
"""Descendants looked at; the removal of a job with more of them is left to the app."""
KEYS_A_READ = 100
"""What a parent knows of its children holds their results, of any size."""

Objection = Callable[[str], str | None]
"""Of a queue, why jobs in it may not be removed; None if they may."""
Look = Callable[[str], Awaitable[str | None]]
"""Looks why a job may not be removed together with its descendants; None if it may. Raises SourceUnavailable."""


async def parents_among(door: Door, keys: Keys, job_ids: Sequence[str]) -> list[str]:
    """Those of the jobs that have children, or may have. Raises SourceUnavailable."""
    sizes = await door.ask([command for job_id in job_ids for command in _sizes(keys.job(job_id))])
    return [job_id for at, job_id in enumerate(job_ids) if any(sizes[4 * at : 4 * at + 4])]


async def look_at(door: Door, keys: Keys, job_ids: Sequence[str], objects: Objection) -> Look:
    """How to look at each of these jobs right before it is removed. Raises SourceUnavailable."""
    with_children = frozenset(await parents_among(door, keys, job_ids))

    async def look(job_id: str) -> str | None:
        return await objection_to(door, keys, job_id, objects) if job_id in with_children else None

    return look


async def objection_to(door: Door, keys: Keys, job_id: str, objects: Objection) -> str | None:
    """Why a job may not be removed together with its descendants; None if it may. Raises SourceUnavailable."""
    known = {keys.job(job_id)}
    generation = list(known)
    while generation:
        sizes = await door.ask([command for key in generation for command in _sizes(key)])
        if any(isinstance(reply, Refused) for reply in sizes):
            return "its children cannot be looked at"
        if len(known) + sum(cast(list[int], sizes)) > MOST_KIN:
            return f"it has more than {MOST_KIN} children: remove it in the app"
        replies = await door.ask([command for key in generation for command in _members(key)]) if any(sizes) else []
        generation = sorted(set(_children(replies)) - known)
        known |= set(generation)
        for queue in sorted({_queue(keys.prefix, key) for key in generation} - {keys.queue}):
            if not queue:
                return "it has children under another prefix, which would go with it"
            if (why := objects(queue)) is not None:
                return f"its children in queue `{queue}` would go with it: {why}"
    return None


async def descendants(door: Door, keys: Keys, job_ids: Sequence[str]) -> int:
    """How many jobs go with these, not counting themselves; of such as may be removed. Raises SourceUnavailable."""
    named = {keys.job(job_id) for job_id in job_ids}
    known = set(named)
    generation = sorted(named)
    while generation:
        found = set[str]()
        for some in _in_parts(generation):
            found.update(_children(await door.ask([command for key in some for command in _members(key)])))
        generation = sorted(found - known)
        known |= found
    # A parent remembers also the children that Redis has forgotten.
    count = 0
    for some in _in_parts(sorted(known - named)):
        count += sum(reply == 1 for reply in await door.ask([("EXISTS", key) for key in some]))
    return count


def _in_parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[at : at + KEYS_A_READ] for at in range(0, len(keys), KEYS_A_READ))


def _sizes(key: str) -> Sequence[Command]:
    return (
        ("SCARD", f"{key}:dependencies"),
        ("HLEN", f"{key}:processed"),
        ("HLEN", f"{key}:failed"),
        ("ZCARD", f"{key}:unsuccessful"),
    )


def _members(key: str) -> Sequence[Command]:
    return (
        ("SMEMBERS", f"{key}:dependencies"),
        ("HGETALL", f"{key}:processed"),
        ("HGETALL", f"{key}:failed"),
        ("ZRANGE", f"{key}:unsuccessful", 0, -1),
    )


def _children(replies: Sequence[Reply]) -> Iterator[str]:
    """Keys of jobs, of replies to _members."""
    for at, reply in enumerate(replies):
        listed = cast(list[bytes], reply or [])
        for key in listed[::2] if at % 4 in (1, 2) else listed:
            yield key.decode(errors="replace")


def _queue(prefix: str, key: str) -> str:
    """The queue of a job's key as BullMQ's scripts read it: the id has no colon. "" for another prefix."""
    head = f"{prefix}:"
    queue = key.removeprefix(head).rpartition(":")[0]
    return queue if key.startswith(head) and ":" not in queue else ""
