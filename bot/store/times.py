"""Postgres' times as the wire has them."""

from datetime import UTC, datetime


def wire(at: datetime) -> str:
    """RFC 3339 UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wire_or_none(at: datetime | None) -> str | None:
    return None if at is None else wire(at)
