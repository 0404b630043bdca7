"""Looks at single records, and at how far the ingest has come: for people who replay dead letters."""

from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from logsvc.ingest.batch import Record
from logsvc.kafka.calls import CALL_SECONDS, close, cluster_id, committed, peek, reach
from logsvc.partitions import Committed, Place
from logsvc.settings import LogsvcSettings
from tocsin.kafka import client_options


class Originals:
    """Kafka as it is now. Calls raise KafkaDown."""

    def __init__(self, settings: LogsvcSettings) -> None:
        self._group = settings.consumer_group
        self._options = client_options(settings, "logsvc-originals")
        self._admin: Any = AIOKafkaAdminClient(**self._options, request_timeout_ms=int(CALL_SECONDS * 1000))

    async def __aenter__(self) -> "Originals":
        try:
            await reach(self._admin.start())
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await close(self._admin.close())

    async def cluster_id(self) -> str:
        return await cluster_id(self._admin)

    async def committed(self, place: Place) -> Committed:
        """How far the ingest group is."""
        return (await committed(self._admin, self._group, [place]))[place]

    async def record(self, place: Place, offset: int) -> Record | None:
        """The record at exactly this offset; None if Kafka has none there."""
        return await peek(self._options, place, offset)
