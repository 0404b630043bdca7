"""This replica's place in its site's group."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from bridge.kafka.calls import AWAY, START_SECONDS, close_client, say
from bridge.settings import BridgeSettings
from tocsin.breakers import Guard, Unavailable
from tocsin.kafka import client_options
from tocsin.kafka_place import tasks_of_place
from tocsin.lifecycle import pause

log = structlog.get_logger("bridge.kafka")

JOIN_AGAIN_SECONDS = 1.0


def group_id(settings: BridgeSettings) -> str:
    """The group whose assignment of `cursors` partitions is the ownership of queues."""
    return f"{settings.kafka_topic_prefix}bridge-{settings.bridge_site}"


class Owner(Protocol):
    """Told which partitions are this replica's, one call at a time; `revoked` holds the group up until it ends.

    lost: it is in the group no more, and has none, until some are assigned again.
    """

    async def assigned(self, partitions: Sequence[int]) -> None: ...
    async def revoked(self, partitions: Sequence[int]) -> None: ...
    async def lost(self) -> None: ...


class _Listener(ConsumerRebalanceListener):
    """Of one consumer. Once that is given up it tells nothing more: a rebalance of it may go on until it is closed."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._telling = asyncio.Lock()
        self._has_ended = False

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        async with self._telling:
            if not self._has_ended:
                await self._owner.revoked(sorted(place.partition for place in revoked))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        async with self._telling:
            if not self._has_ended:
                await self._owner.assigned(sorted(place.partition for place in assigned))

    async def end(self) -> None:
        """What was told so far holds no more."""
        async with self._telling:
            self._has_ended = True
            await self._owner.lost()


class Membership:
    """This replica's place in the site's group: Kafka's own group protocol says which partitions it owns."""

    def __init__(self, settings: BridgeSettings, owner: Owner, guard: Guard = asyncio.timeout) -> None:
        self._settings = settings
        self._owner = owner
        self._guard = guard

    async def run(self, stop: asyncio.Event) -> None:
        """Stay in the group until stop is set, and join again when it is lost. The cursors are not read here."""
        while not stop.is_set():
            consumer = self._make_consumer()
            try:
                if await self._is_reached(consumer):
                    await self._stay(consumer, stop)
            finally:
                await close_client(consumer)
            await pause(stop, JOIN_AGAIN_SECONDS)

    async def _is_reached(self, consumer: AIOKafkaConsumer) -> bool:
        try:
            async with self._guard(START_SECONDS):
                await consumer.start()
        except (*AWAY, TimeoutError, Unavailable) as error:
            log.warning("group_not_reached", reason=say(error))
            return False
        return True

    async def _stay(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        """Be a member until stop is set, or what keeps the place has failed.

        aiokafka gives up for good over what it did not expect: a Kafka that has just woken and names no broker.
        """
        listener = _Listener(self._owner)
        consumer.subscribe([self._settings.topics.cursors], listener=listener)
        try:
            while not stop.is_set():
                consumer.pause(*consumer.assignment())
                await consumer.getmany(timeout_ms=500)
        except (KafkaError, AssertionError) as error:
            log.warning("group_lost", reason=say(error))
            await listener.end()
            _retrieve_failures(consumer)

    def _make_consumer(self) -> AIOKafkaConsumer:
        session_ms = int(self._settings.bridge_session_seconds * 1000)
        return AIOKafkaConsumer(
            **client_options(self._settings, f"bridge-{self._settings.bridge_site}"),
            group_id=group_id(self._settings),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 3,
            max_poll_interval_ms=60_000,
            rebalance_timeout_ms=20_000,
        )


def _retrieve_failures(consumer: AIOKafkaConsumer) -> None:
    """What keeps the place may have died of what it told us: the loop would log it as a mishap."""
    for keeping in tasks_of_place(consumer):
        if keeping.done() and not keeping.cancelled():
            keeping.exception()
