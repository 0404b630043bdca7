"""Partitions of Kafka, and what is known of one: plain data."""

from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True)
class Committed:
    """What the group last committed for a partition. offset None = nothing yet."""

    offset: int | None
    metadata: str


@dataclass(frozen=True)
class Bounds:
    """The offsets a partition holds: begin up to, not including, end (the last stable offset)."""

    begin: int
    end: int
