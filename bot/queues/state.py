"""A queue's state as the bot tells it, wherever it came from, and what counts as trouble (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from hashlib import blake2s
from typing import Any

import msgspec

from bot.render.times import parse_rfc3339
from tocsin.answers import QueueCounts, QueueItem
from tocsin.events import QueueSnapshot

OLD_WAIT_SECONDS = 15 * 60
"""A job that is ready and waits for longer than this is trouble."""


class QueueState(QueueCounts, kw_only=True, frozen=True):
    """One queue as it was at a time (ms)."""

    as_of_ms: int

    @property
    def ready(self) -> int:
        """Jobs that a worker could take now."""
        return self.waiting + self.prioritized


COUNTS = (
    ("waiting", "waiting"),
    ("active", "active"),
    ("delayed", "delayed"),
    ("prioritized", "prioritized"),
    ("waiting-children", "waiting_children"),
    ("completed", "completed"),
    ("failed", "failed"),
)
"""BullMQ's word for a state, and the field that counts it; in the order they are shown."""


def from_snapshot(one: QueueSnapshot) -> QueueState:
    """A queue as we saw it in Kafka."""
    return _state(one, one.ts)


def from_api(item: Mapping[str, Any]) -> QueueState:
    """A queue as logsvc tells it. Raises msgspec.ValidationError or ValueError if it is not one."""
    one = msgspec.convert(item, QueueItem)
    return _state(one, parse_rfc3339(one.as_of))


def _state(one: QueueSnapshot | QueueItem, as_of_ms: int) -> QueueState:
    same: Mapping[str, Any] = {name: getattr(one, name) for name in QueueCounts.__struct_fields__}
    return QueueState(**same, as_of_ms=as_of_ms)


def in_trouble(one: QueueState) -> bool:
    """Whether somebody should look: failures, work that nobody takes, or that waits for long."""
    return (
        one.failed > 0
        or (one.ready > 0 and (one.is_paused or one.workers == 0))
        or (one.oldest_waiting_seconds or 0) >= OLD_WAIT_SECONDS
    )


def worst_first(queues: Iterable[QueueState]) -> list[QueueState]:
    """Trouble first: nobody works, then failures, then long waits, then many ready; then by name."""
    return sorted(
        queues,
        key=lambda one: (
            not in_trouble(one),
            not (one.ready > 0 and (one.workers == 0 or one.is_paused)),
            -one.failed,
            -(one.oldest_waiting_seconds or 0),
            -one.ready,
            one.env,
            one.source,
            one.queue,
        ),
    )


Place = tuple[str, str, str]
"""Env, source and queue."""


def place(one: QueueState) -> Place:
    return one.env, one.source, one.queue


def shared_names(places: Iterable[Place]) -> frozenset[tuple[str, str]]:
    """Env and queue of those that only their source tells apart."""
    sources: dict[tuple[str, str], set[str]] = {}
    for env, source, queue in places:
        sources.setdefault((env, queue), set()).add(source)
    return frozenset(name for name, found in sources.items() if len(found) > 1)


def handle(one: QueueState) -> str:
    """A short name of a queue that fits a button, whatever its real name is."""
    return handle_of((one.env, one.source, one.queue))


def handle_of(where: Place) -> str:
    """The same, of a queue's place."""
    return blake2s("\0".join(where).encode(errors="replace"), digest_size=8).hexdigest()


def find(queues: Sequence[QueueState], said: str) -> list[QueueState]:
    """The queues a person means: by exact name, `source/queue`, then the name in any case."""
    said = said.strip()
    exact = [one for one in queues if said in (one.queue, f"{one.source}/{one.queue}", f"{one.env}/{one.queue}")]
    return exact or [one for one in queues if one.queue.casefold() == said.casefold()]


def similar(queues: Sequence[QueueState], said: str, most: int = 5) -> list[QueueState]:
    """Queues that may have been meant; those of one name beside each other."""
    said = said.strip().casefold()
    by_name: dict[str, list[QueueState]] = {}
    for one in queues:
        by_name.setdefault(one.queue.casefold(), []).append(one)
    close = get_close_matches(said, list(by_name), n=most, cutoff=0.5)
    holding = [name for name in by_name if said and said in name and name not in close]
    return [one for name in [*close, *sorted(holding)] for one in by_name[name]][:most]
