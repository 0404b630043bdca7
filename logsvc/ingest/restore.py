"""Where to go on in a partition after an assignment: a pure decision over what Kafka and ClickHouse say.

An incarnation is one life of a topic: its name is Kafka's cluster id, with `#n` once the topic was made again in the
same cluster. It is part of every row's origin and of every deduplication token, so offsets that begin anew never meet
those of a former life.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from logsvc.ingest.batch import Span, parse_span


@dataclass(frozen=True)
class Found:
    """What is known of a partition.

    committed: the group's offset, None if there is none. newest: highest stored offset by incarnation.
    begin, end: what Kafka holds; end is not included. departs: first offset at which Kafka no longer holds what was
    stored; None = not compared.
    """

    committed: int | None
    metadata: str
    begin: int
    end: int
    newest: Mapping[str, int]
    departs: int | None = None


@dataclass(frozen=True)
class Start:
    """How to go on."""

    offset: int
    incarnation: str
    recover: Span | None = None
    """A range that a former owner was storing; it comes first."""
    stored_through: int = -1
    """Rows up to here may be stored already, under tokens we do not know; -1 = none."""
    expired: int = 0
    """Offsets that Kafka deleted before anyone read them."""
    reborn_from: str = ""
    """The former incarnation, if this one is new: it begins where Kafka's log departs from what was stored, which is
    its first offset for another topic, and further on for a log that was cut (a power cut with one replica, an unclean
    election)."""
    is_position_lost: bool = False
    """The group's offset was gone."""


def plan(cluster: str, found: Found) -> Start:
    """Decide where and under which incarnation to read on."""
    current = incarnation_now(cluster, found.newest)
    stored = found.newest.get(current, -1)
    span = parse_span(found.metadata) if found.committed is not None else None
    if _furthest(stored, found) > found.end or (found.departs is not None and found.departs <= stored):
        begin = found.begin if found.departs is None else found.departs
        return Start(begin, _next(cluster, current), reborn_from=current)
    foreign = "" if stored >= 0 or found.committed is not None else max(found.newest, default="")
    offset = found.committed if found.committed is not None else stored + 1
    is_lost = found.committed is None and stored >= 0
    if offset >= found.begin:
        recover = span if span and span.first == offset else None
        return Start(offset, current, recover, stored, 0, foreign, is_lost)
    recover = span if span and span.last >= found.begin else None
    expired = found.begin - offset if found.committed is not None or is_lost else 0
    return Start(found.begin, current, recover, stored, expired, foreign, is_lost)


def doubtful(cluster: str, found: Found) -> str | None:
    """The incarnation whose rows to compare with Kafka's records, where nothing else tells one life from another.

    Kafka forgets a group's position with the topic; then only the records themselves can say if it is the same one. And
    a log that ends before what was stored is another one, or has lost its end.
    """
    current = incarnation_now(cluster, found.newest)
    newest = found.newest.get(current, -1)
    if _furthest(newest, found) > found.end or (found.committed is None and found.begin <= newest):
        return current
    return None


def _furthest(stored: int, found: Found) -> int:
    """The offset after everything that was stored, or was about to be."""
    span = parse_span(found.metadata) if found.committed is not None else None
    return max(stored + 1, found.committed or 0, span.last + 1 if span else 0)


def incarnation_now(cluster: str, newest: Mapping[str, int]) -> str:
    """Under which name a partition's rows are stored now. newest: as in Found."""
    lives = [_number(cluster, name) for name in newest]
    return _name(cluster, max((number for number in lives if number is not None), default=0))


def _next(cluster: str, current: str) -> str:
    return _name(cluster, (_number(cluster, current) or 0) + 1)


def _number(cluster: str, name: str) -> int | None:
    if name == cluster:
        return 0
    tail = name.removeprefix(f"{cluster}#")
    return int(tail) if tail != name and tail.isdecimal() else None


def _name(cluster: str, number: int) -> str:
    return f"{cluster}#{number}" if number else cluster
