"""Records on their way into one transaction, packed as Kafka wants them."""

from collections.abc import Callable, Iterable
from typing import Any

from bridge.record import Record
from tocsin.times import current_ms

BATCH_BYTES = 256 * 1024


class Batches:
    """Records on their way into one transaction, in batches of at most BATCH_BYTES per topic partition, in order.

    They are packed as soon as they are made: once they are out of the processor's cache it takes longer. partition: of
    those that name none.
    """

    def __init__(self, partition: int, create_batch: Callable[[], Any]) -> None:
        self._partition = partition
        self._create_batch = create_batch
        self._batches: list[tuple[tuple[str, int], _Batch]] = []
        self._open: dict[tuple[str, int], _Batch] = {}

    def extend(self, records: Iterable[Record]) -> None:
        """Add records."""
        now_ms = current_ms()
        where, batch = ("", 0), _Batch(None)
        for record in records:
            partition = self._partition if record.partition is None else record.partition
            if record.topic is not where[0] or partition != where[1]:  # most go where the one before went
                where = (record.topic, partition)
                batch = self._open.get(where) or _Batch(None)
            headers = [("ce_id", record.identity), ("ce_type", record.kind)] if record.kind else []
            if batch.append(batch.count, now_ms, record.key, record.value, headers) is None:
                batch = self._open[where] = _Batch(self._create_batch())
                self._batches.append((where, batch))
                if batch.append(0, now_ms, record.key, record.value, headers) is None:
                    raise AssertionError(f"a record of {record.size} bytes does not fit a batch")
            batch.count += 1

    def close(self) -> list[tuple[tuple[str, int], Any]]:
        """The batches, ready to be sent, each with its topic and partition."""
        return [(where, batch.close()) for where, batch in self._batches]


class _Batch:
    """A batch that is being filled, past the builder's own `append`, which takes as long again.

    append: None = it is full, and takes no more; a batch of no builder is full. count: its records.
    """

    __slots__ = ("append", "builder", "count")

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.append: Callable[..., Any] = _is_full if builder is None else builder._builder.append
        self.count = 0

    def close(self) -> Any:
        """The builder, ready to be sent."""
        self.builder._relative_offset = self.count
        self.builder.close()
        return self.builder


def _is_full(*_: object) -> None:
    """What a batch says that takes no record."""
