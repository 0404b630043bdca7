"""A Kafka record as the bridge makes it, and how big one may be: pure."""

from typing import Self

import msgspec

REQUEST_BYTES = 1024 * 1024
MAX_RECORD_BYTES = REQUEST_BYTES - 16 * 1024
"""A record must leave room for its batch's header. What is bigger is refused where records enter the outbox."""

HEADERS_BYTES = len("ce_id") + len("ce_type")


class Record(msgspec.Struct, gc=False):
    """One Kafka record, made by `of`. value None is a tombstone. partition None = the writer's own.

    identity, kind: what its CloudEvents headers say; without a kind it has none. size: of key, value and headers.
    Flat, and with no list in it: thousands of them wait for their commit.
    """

    topic: str
    key: bytes
    value: bytes | None
    identity: bytes
    kind: bytes
    partition: int | None
    size: int

    @classmethod
    def of(
        cls,
        topic: str,
        key: bytes,
        value: bytes | None,
        identity: bytes = b"",
        kind: bytes = b"",
        *,
        partition: int | None = None,
    ) -> Self:
        """A record of which nobody has counted the bytes yet."""
        size = len(key) + len(value or b"") + (HEADERS_BYTES + len(identity) + len(kind) if kind else 0)
        return cls(topic, key, value, identity, kind, partition, size)
