"""How many workers each queue has, by the names of their connections in CLIENT LIST.

Node names a worker's one blocking connection `<prefix>:<base64 of queue>[:w:<name>]`. Python names all of a worker's
`<prefix>:<queue>[:w:<name>]`: one that blocks while the worker is idle, and one for its commands, of which old clients
(2.19) open more as they need them. redis-py 8 drops the blocking one whenever the queue was idle for 5 s, and opens
another 2 to 20 s later: while that goes on, those for commands are counted. `…:qe` is no worker but a listener.
"""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Door, Link, Refused

WORKERS_SECONDS = 3.0
"""For who works there: counts wait for it, also those of a cluster's other processes."""

RECONNECTING_SECONDS = 60.0
"""Longer than a Python worker that reconnects leaves its blocking connection as it is: 20 s, and 5 s blocking."""

GREETINGS = frozenset(
    {"", "asking", "auth", "client", "cluster", "command", "hello", "info", "ping", "readonly", "select"}
)
"""Commands of a connection that has done nothing yet, or is kept to another node of a cluster."""
GREETING_SECONDS = 2
"""Whoever has done no more for so long is a blocking connection of a worker that was never idle."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One named connection. who: the queue's name, as it stands or in base64. command: its last one. age: s."""

    identity: str
    who: str
    command: str
    age: int


@dataclass(slots=True)
class Group:
    """What was learned of the connections of one name at one process, by the ids of those there.

    blocking: were seen to block. commanding: run commands. greeting: have done nothing yet. unsure_until: a blocking
    one went and its worker did not, so that those that are there may be too few; monotonic, s.
    """

    blocking: set[str] = field(default_factory=set[str])
    commanding: set[str] = field(default_factory=set[str])
    greeting: int = 0
    unsure_until: float = 0.0

    def learn(self, there: list[Connection], before: "Group", now: float) -> None:
        """Take in the connections that are there. before: what was known at the last listing."""
        ids = {one.identity for one in there}
        for one in there:
            if one.identity in before.blocking or one.command.startswith("bzpop"):
                self.blocking.add(one.identity)
            elif one.identity in before.commanding or one.command.partition("|")[0] not in GREETINGS:
                self.commanding.add(one.identity)
            else:
                self.greeting += one.age >= GREETING_SECONDS
        has_lost_some = not before.blocking <= ids
        is_still_there = bool(before.commanding) and before.commanding <= ids
        self.unsure_until = now + RECONNECTING_SECONDS if has_lost_some and is_still_there else before.unsure_until

    def workers(self, now: float) -> int:
        """How many Python workers these are; 0 = none, or nobody knows yet."""
        idle = len(self.blocking)
        if not self.commanding:
            return idle
        if now < self.unsure_until or not idle + self.greeting:
            return max(idle, len(self.commanding))
        return idle + self.greeting


class Workers:
    """Of one source. database: connections to another are named alike, and work on other queues."""

    def __init__(self, prefix: str, database: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._head = f"{prefix}:"
        self._database = str(database)
        self._clock = clock
        self._named: Counter[str] | None = None
        self._python = Counter[str]()
        self._groups: dict[tuple[int, str], Group] = {}
        self.mentioned: set[str] = set()
        """What may be the name of a queue that somebody works on or listens to."""

    def of(self, queue: str) -> int | None:
        """Workers of a queue; None = Redis does not tell, or Python connections that have only just been opened."""
        if self._named is None:
            return None
        found = self._named[base64.b64encode(queue.encode()).decode()] + self._python[queue]
        return None if found == 0 and self._named[queue] else found

    async def read(self, door: Door) -> None:
        """Ask anew every process that workers are connected to, all at once.

        Silence of one, or a refusal (managed Redis, ACL), means unknown, not none.
        """
        try:
            primaries = await door.primaries()
        except SourceUnavailable:
            self.learn(None)
        else:
            self.learn(*await asyncio.gather(*map(_list_clients, primaries)))

    def learn(self, *listings: str | None) -> None:
        """Take in the text of each process's CLIENT LIST; None = unknown.

        A worker blocks at the one process that holds its queue; its idle connections to others are named like it.
        """
        now, before = self._clock(), self._groups
        self._groups, self._python, self.mentioned = {}, Counter[str](), set()
        named = Counter[str]()
        for at, listing in enumerate(listings):
            if listing is None:
                self._groups.update({key: group for key, group in before.items() if key[0] == at})
                continue
            for who, there in self._by_name(listing).items():
                group = self._groups[at, who] = Group()
                group.learn(there, before.get((at, who)) or Group(), now)
                named[who] = max(named[who], len(there))
                self._python[who] = max(self._python[who], group.workers(now))
        self._named = named if None not in listings else None

    def _by_name(self, listing: str) -> Mapping[str, list[Connection]]:
        """The connections of workers at one process. What listeners name is only noted."""
        found: dict[str, list[Connection]] = {}
        for fields in _parse(listing):
            name = fields.get("name", "")
            if not name.startswith(self._head) or fields.get("db", self._database) != self._database:
                continue
            who, _, what = name[len(self._head) :].partition(":")
            if what not in ("", "qe") and not what.startswith("w:"):
                continue  # of a prefix that begins like ours
            self.mentioned |= _names(who)
            if what != "qe":
                age = fields.get("age", "")
                one = Connection(fields.get("id", ""), who, fields.get("cmd", ""), int(age) if age.isdecimal() else 0)
                found.setdefault(who, []).append(one)
        return found


def _parse(listing: str) -> Iterator[dict[str, str]]:
    """The fields of each line of CLIENT LIST."""
    for line in listing.splitlines():
        pairs = (part.partition("=") for part in line.split(" "))
        yield {name: value for name, _, value in pairs}


async def _list_clients(process: Link) -> str | None:
    try:
        reply = (await process.ask([("CLIENT", "LIST")], timeout=WORKERS_SECONDS))[0]
    except SourceUnavailable:
        return None
    return None if isinstance(reply, Refused) else cast(bytes, reply).decode(errors="replace")


def _names(who: str) -> set[str]:
    """The queues that a connection may be named after: as it stands, or in base64."""
    found = {who}
    with suppress(ValueError):  # of binascii's and UTF-8's
        found.add(base64.b64decode(who, validate=True).decode())
    return {name for name in found if name and ":" not in name}
