"""How far Kafka and a consumer group are, by what consumers see: committed records only, markers not counted."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from tests.clients import aiokafka, aiokafka_admin


class Committed:
    """The committed records of some topics. Each question reads on from where the last one ended.

    async with Committed(bootstrap, ["tocsin.jobs"]) as committed:
        await eventually(lambda: committed.are_read_by("tocsin.logsvc"))
    """

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._topics = list(topics)
        self._admin: Any = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self._consumer: Any = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
        )
        self._last: dict[tuple[str, int], int] = {}
        self._count = 0

    async def __aenter__(self) -> "Committed":
        await self._admin.start()
        await self._consumer.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def count(self) -> int:
        """How many records a read_committed consumer sees."""
        await self._read_on()
        return self._count

    async def are_read_by(self, group: str) -> bool:
        """Whether a group has committed past the last record of each partition."""
        offsets = await self._admin.list_consumer_group_offsets(group)
        committed = {(place.topic, place.partition): kept.offset for place, kept in offsets.items()}
        await self._read_on()
        return all(committed.get(place, -1) > offset for place, offset in self._last.items())

    async def _read_on(self) -> None:
        places = await self._places()
        new = [place for place in places if place not in self._consumer.assignment()]
        if new:
            at = {place: await self._consumer.position(place) for place in self._consumer.assignment()}
            self._consumer.assign(places)
            for place, offset in at.items():
                self._consumer.seek(place, offset)
        ends = await self._consumer.end_offsets(places)
        while [place for place in places if await self._consumer.position(place) < ends[place]]:
            for place, records in (await self._consumer.getmany(timeout_ms=200)).items():
                self._last[place.topic, place.partition] = records[-1].offset
                self._count += len(records)

    async def _places(self) -> list[Any]:
        """Every partition of these topics that exist."""
        return [
            aiokafka.TopicPartition(topic["topic"], partition["partition"])
            for topic in await self._admin.describe_topics(self._topics)
            for partition in topic["partitions"]
        ]
