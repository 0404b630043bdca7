"""A queue's counts in one pipeline of plain commands (BullMQ's own getters are scripts, which may write)."""

import base64
from collections import Counter
from collections.abc import Iterable
from typing import cast

from bridge import redact
from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Command, Door, Refused, Reply, is_about_key
from bridge.sources.bullmq.enrich import whole
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.translate import Place
from tocsin.events import VERSION, QueueSnapshot

LISTS = ("wait", "paused", "active")
SETS = ("delayed", "prioritized", "waiting-children", "completed", "failed")
COMMANDS_PER_QUEUE = 1 + len(LISTS) + len(SETS) + 3
QUEUES_A_PIPELINE = 100


def commands(keys: Keys) -> list[Command]:
    """COMMANDS_PER_QUEUE commands; the last three find the job next in line."""
    return [
        ("HMGET", keys.meta, "paused", "opts.maxLenEvents", "version"),
        *(("LLEN", keys.of(name)) for name in LISTS),
        *(("ZCARD", keys.of(name)) for name in SETS),
        ("LINDEX", keys.of("wait"), -1),
        ("LINDEX", keys.of("paused"), -1),
        ("ZRANGE", keys.of("prioritized"), 0, 0),
    ]


def next_in_line(replies: list[Reply]) -> str | None:
    """The id of the job next in line, or None if none waits. Pre-v5 markers (`0:…`) are no jobs."""
    waiting, paused, prioritized = replies[-3:]
    by_priority = cast(list[bytes], prioritized) if isinstance(prioritized, list) else []
    candidates: list[Reply] = [waiting, paused, *by_priority[:1]]
    for candidate in candidates:
        if isinstance(candidate, bytes) and not candidate.startswith(b"0:"):
            return candidate.decode(errors="replace")
    return None


def snapshot(
    place: Place, replies: list[Reply], ts: int, *, oldest_added_at: int | None, workers: int | None, queues: int
) -> QueueSnapshot | None:
    """Replies -> record, or None if one of the queue's keys is refused: half a snapshot is none.

    Raises SourceUnavailable if Redis refuses more than a key.
    """
    for reply in replies:
        if isinstance(reply, Refused) and not is_about_key(reply):
            raise SourceUnavailable(f"counts of {place.queue} were refused: {reply}")
        if isinstance(reply, Refused):
            return None
    meta = cast(list[bytes | None], replies[0])
    lists = dict(zip(LISTS, cast(list[int], replies[1:4]), strict=True))
    sets = dict(zip(SETS, cast(list[int], replies[4:9]), strict=True))
    return QueueSnapshot(
        v=VERSION,
        ts=ts,
        env=place.env,
        source=place.source,
        queue=place.queue,
        waiting=lists["wait"] + lists["paused"],
        active=lists["active"],
        delayed=sets["delayed"],
        prioritized=sets["prioritized"],
        waiting_children=sets["waiting-children"],
        completed=sets["completed"],
        failed=sets["failed"],
        is_paused=meta[0] is not None,
        max_len_events=None if meta[1] is None else whole(meta[1]),
        bullmq_version=redact.cut((meta[2] or b"").decode(errors="replace"), redact.NAME_BYTES),
        workers=workers,
        oldest_waiting_seconds=None if oldest_added_at is None else max(0, ts - oldest_added_at) / 1000,
        sources_queues=queues,
    )


async def read_snapshots(
    door: Door, prefix: str, places: Iterable[Place], workers: "Workers", queues: int
) -> list[QueueSnapshot]:
    """Read the snapshots of many queues, QUEUES_A_PIPELINE at a time; a refused one is left out.

    Raises SourceUnavailable.
    """
    found: list[QueueSnapshot] = []
    wanted = list(places)
    for start in range(0, len(wanted), QUEUES_A_PIPELINE):
        some = [(place, Keys(prefix, place.queue)) for place in wanted[start : start + QUEUES_A_PIPELINE]]
        flat = await door.ask([command for _, keys in some for command in commands(keys)])
        replies = [flat[at : at + COMMANDS_PER_QUEUE] for at in range(0, len(flat), COMMANDS_PER_QUEUE)]
        ages = await _added_at(
            door, [(keys, next_in_line(reply)) for (_, keys), reply in zip(some, replies, strict=True)]
        )
        now = door.now_ms()
        for (place, _), reply, age in zip(some, replies, ages, strict=True):
            count = workers.of(place.queue)
            made = snapshot(place, reply, now, oldest_added_at=age, workers=count, queues=queues)
            found += [made] if made is not None else []
    return found


async def _added_at(door: Door, jobs: list[tuple[Keys, str | None]]) -> list[int | None]:
    asked = [(at, ("HGET", keys.job(job), "timestamp")) for at, (keys, job) in enumerate(jobs) if job is not None]
    added: list[int | None] = [None] * len(jobs)
    for (at, _), reply in zip(asked, await door.ask([command for _, command in asked]), strict=True):
        if isinstance(reply, bytes):
            added[at] = whole(reply) or None
    return added


class Workers:
    """How many workers each queue has, by the names of their connections in CLIENT LIST.

    Node names a worker's one blocking connection `<prefix>:<base64 of queue>[:w:<name>]`; Python names several of a
    worker's connections `<prefix>:<queue>`, of which one blocks while the worker is idle: once seen blocking, that
    connection is a worker until it closes. `…:qe` is no worker but a listener.
    """

    def __init__(self, prefix: str) -> None:
        self._head = f"{prefix}:"
        self._named: Counter[str] | None = None
        self._python: dict[str, str] = {}

    def of(self, queue: str) -> int | None:
        """Workers of a queue; None = Redis does not tell, or only Python connections that were never seen to block."""
        if self._named is None:
            return None
        found = self._named[base64.b64encode(queue.encode()).decode()]
        found += sum(who == queue for who in self._python.values())
        return None if found == 0 and self._named[queue] else found

    async def read(self, door: Door) -> None:
        """Ask anew. A refusal (managed Redis, ACL) means unknown, not none; raises SourceUnavailable otherwise."""
        reply = (await door.ask([("CLIENT", "LIST")]))[0]
        self.learn(None if isinstance(reply, Refused) else cast(bytes, reply).decode(errors="replace"))

    def learn(self, listing: str | None) -> None:
        """Take in CLIENT LIST's text; None = refused."""
        before, self._python = self._python, {}
        self._named = None if listing is None else Counter()
        for line in (listing or "").splitlines():
            pairs = (part.partition("=") for part in line.split(" "))
            fields = {field: value for field, _, value in pairs}
            name, identity = fields.get("name", ""), fields.get("id", "")
            if not name.startswith(self._head) or name.endswith(":qe") or self._named is None:
                continue
            who = name[len(self._head) :].partition(":")[0]
            self._named[who] += 1
            if before.get(identity) == who or fields.get("cmd", "").startswith("bzpop"):
                self._python[identity] = who
