"""The bridge's door to Kafka: topics, one fenced transactional writer per partition, and what its cursors say."""

from bridge.kafka.batches import Batches
from bridge.kafka.calls import close_client, guard_by
from bridge.kafka.membership import Membership
from bridge.kafka.reading import read_back, read_cursors, read_newest, reader, seek_to_time
from bridge.kafka.writer import Writer

__all__ = [
    "Batches",
    "Membership",
    "Writer",
    "close_client",
    "guard_by",
    "read_back",
    "read_cursors",
    "read_newest",
    "reader",
    "seek_to_time",
]
