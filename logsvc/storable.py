"""Which records can be rows: what is stored and what is shown live pass the same check."""

from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec

from tocsin.events import VERSION, BadRecord, decode, encode

EARLIEST_MS = 946_684_800_000  # 2000-01-01
TOO_LATE_MS = 4_102_444_800_000  # 2100-01-01

UINT32 = frozenset({"epoch", "attempt", "max_attempts", "line", "workers", "sources_queues"})
UINT64 = frozenset(
    {
        "lost",
        "waiting",
        "active",
        "delayed",
        "prioritized",
        "waiting_children",
        "completed",
        "failed",
        "max_len_events",
    }
)
"""Columns by type (schema/*.sql); every other whole number is an Int64. ClickHouse would wrap what is too large."""

T = TypeVar("T", bound=msgspec.Struct)


def fitted(struct: type[T], value: bytes) -> tuple[T, bytes]:
    """Decode a record, and return it with the bytes to store and to show.

    Those are its own, unless they hold keys the struct does not know: ClickHouse may have a column of that name, and
    nobody has looked at what they hold. Then the struct is encoded anew.

    Raises BadRecord if it can never be a row, as far as we can tell without ClickHouse.
    """
    try:
        return _strict_decoder(struct).decode(value), value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _looked_at(struct, value)


def _looked_at(struct: type[T], value: bytes) -> tuple[T, bytes]:
    """The same, slowly: tells what is wrong, if anything is."""
    closed: type[T] = _closed(struct)
    try:
        record = decode(closed, value)
    except BadRecord:
        record = decode(struct, value)
        value = encode(record)
    ts: int = getattr(record, "ts", 0)
    if not EARLIEST_MS <= ts < TOO_LATE_MS:
        raise BadRecord(f"ts {ts} is no time in ms between 2000 and 2100")
    for name, least, most in _bounds(struct):
        number: int | None = getattr(record, name)
        if number is not None and not least <= number <= most:
            raise BadRecord(f"{name} {number} is not within {least} and {most}")
    return record, value


@cache
def _strict_decoder(struct: type[T]) -> msgspec.json.Decoder[T]:
    """Decodes, in C, exactly what needs no second look: known keys, this version, numbers within their columns."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(struct):
        if field.type in (int, int | None):
            number: Any = Annotated[int, _limits(field.name)]
            kind: Any = number if field.type is int else number | None
            fields.append((field.name, kind) if field.required else (field.name, kind, field.default))
    strict: Any = msgspec.defstruct(struct.__name__, fields, bases=(struct,), kw_only=True, forbid_unknown_fields=True)
    return msgspec.json.Decoder(strict)


def _limits(name: str) -> msgspec.Meta:
    """Bounds of a number, both included. msgspec knows none beyond an Int64's: what is larger is looked at."""
    if name == "v":
        return msgspec.Meta(ge=VERSION, le=VERSION)
    if name == "ts":
        return msgspec.Meta(ge=EARLIEST_MS, le=TOO_LATE_MS - 1)
    least, most = _range(name)
    return msgspec.Meta(ge=least, le=min(most, 2**63 - 1))


@cache
def _closed(struct: type[msgspec.Struct]) -> Any:
    """The same struct, which refuses keys it does not know."""
    return msgspec.defstruct(struct.__name__, [], bases=(struct,), forbid_unknown_fields=True)


@cache
def _bounds(struct: type[msgspec.Struct]) -> list[tuple[str, int, int]]:
    """The whole numbers of a struct, and what their columns hold."""
    numbers = [field.name for field in msgspec.structs.fields(struct) if field.type in (int, int | None)]
    return [(name, *_range(name)) for name in numbers]


def _range(name: str) -> tuple[int, int]:
    if name in UINT32:
        return 0, 2**32 - 1
    return (0, 2**64 - 1) if name in UINT64 else (-(2**63), 2**63 - 1)
