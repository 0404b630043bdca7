"""Cursors: opaque to people, safe in a URL, and refused with a clear word when they are not ours."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from logsvc.errors import BadRequest
from logsvc.partitions import Place
from tocsin.times import LATEST_MS

T = TypeVar("T")


class RowKey(msgspec.Struct, array_like=True, frozen=True):
    """A place in the journal's order, newest first: rows after it are older. kind is `event` or `log`."""

    ts: int
    kind: str
    partition: int
    offset: int


class JobKey(msgspec.Struct, array_like=True, frozen=True):
    """A place in the list of jobs, the most lately changed first, as they were before `latest`; 0 = as they are."""

    ts: int
    source: str
    queue: str
    job_id: str
    added_at: int
    latest: int = 0


class QueueKey(msgspec.Struct, array_like=True, frozen=True):
    """A place in the list of queues, by name."""

    env: str
    source: str
    queue: str


class SchedulerKey(msgspec.Struct, array_like=True, frozen=True, order=True):
    """A place in the list of schedulers, by name."""

    env: str
    source: str
    queue: str
    scheduler: str


class MarkerKey(msgspec.Struct, array_like=True, frozen=True):
    """A place in the list of markers, newest first."""

    ts: int
    id: str


class ErrorKey(msgspec.Struct, array_like=True, frozen=True):
    """A place in the list of error groups, by one sort, in the minutes from first to after."""

    sort: str
    value: int
    fingerprint: str
    first: int
    after: int


class _Positions(msgspec.Struct, array_like=True, frozen=True):
    cluster: int
    offsets: dict[str, list[int]]
    at: int = 0


@dataclass(frozen=True)
class TailPosition:
    """Where the live tail stands: the next offset of every partition. Any replica can go on from it.

    at_ms: when it stood there; 0 = not known.
    """

    offsets: Mapping[Place, int]
    at_ms: int = 0


def pack(key: msgspec.Struct) -> str:
    """Write a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def unpack(kind: type[T], text: str) -> T:
    """Read a cursor; raise BadRequest if it is not one of this kind."""
    try:
        return msgspec.json.decode(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True), type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        raise BadRequest("cursor: not one of ours; leave it out to begin anew") from None


def pack_position(cluster: str, position: Mapping[Place, int], at_ms: int = 0) -> str:
    """Write a live cursor: offsets by topic, in partition order, and when."""
    offsets: dict[str, list[int]] = {}
    for place in sorted(position):
        offsets.setdefault(place.topic, []).append(position[place])
    return pack(_Positions(zlib.crc32(cluster.encode()), offsets, at_ms))


def unpack_position(cluster: str, text: str) -> TailPosition | None:
    """Read a live cursor; None if it is from another Kafka cluster. Raises BadRequest if it is none at all."""
    found = unpack(_Positions, text)
    if found.cluster != zlib.crc32(cluster.encode()):
        return None
    return TailPosition(
        {Place(topic, number): offset for topic, row in found.offsets.items() for number, offset in enumerate(row)},
        found.at if 0 <= found.at <= LATEST_MS else 0,
    )
