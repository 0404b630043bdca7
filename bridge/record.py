"""A Kafka record as the bridge makes it, and how big one may be: pure."""

import msgspec

REQUEST_BYTES = 1024 * 1024
MAX_RECORD_BYTES = REQUEST_BYTES - 16 * 1024
"""A record must leave room for its batch's header. What is bigger is refused where records enter the outbox."""


class Record(msgspec.Struct, gc=False):
    """One Kafka record. value None is a tombstone. partition None = the writer's own.

    size: of key, value and headers; counted here unless it is given.
    """

    topic: str
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]] = []
    partition: int | None = None
    size: int = 0

    def __post_init__(self) -> None:
        if self.size:
            return
        self.size = len(self.key) + len(self.value or b"")
        for name, value in self.headers:
            self.size += len(name) + len(value)
