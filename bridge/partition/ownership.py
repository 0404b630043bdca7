"""Which partitions, and so which queues, this replica relays: one task per owned partition, begun and ended by Kafka.

Kafka's group protocol decides. Each assignment starts afresh, even of a partition that was ours a moment ago.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from bridge.metrics import Metrics
from bridge.readiness import Readiness
from tocsin.lifecycle import PartExited, unless_cancelled

log = structlog.get_logger("bridge.partition.ownership")

Relay = Callable[[int, asyncio.Event], Awaitable[None]]
"""Relays one partition until its event is set; survives everything but a bug."""

RELEASE_SECONDS = 3.0
"""How long a partition taken away may take to finish its transaction; the next owner fences what is late."""


class Ownership:
    """Runs one relay per assigned partition, inside `run`."""

    def __init__(self, relay: Relay, metrics: Metrics, readiness: Readiness) -> None:
        self._relay = relay
        self._readiness = readiness
        self._metrics = metrics
        self._owned: dict[int, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._crash: asyncio.Future[None] | None = None
        self._is_stopping = False

    @property
    def partitions(self) -> list[int]:
        """Partitions relayed now, sorted."""
        return sorted(self._owned)

    async def run(self, stop: asyncio.Event) -> None:
        """Wait until stop is set, then release every partition. Raises what a relay raised: a bug, or a lost group."""
        self._crash = asyncio.get_running_loop().create_future()
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({stopping, self._crash}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            self._is_stopping = True
            await self._release(self.partitions)
        if self._crash.done():
            self._crash.result()

    async def revoked(self, partitions: Iterable[int]) -> None:
        """Stop relaying before the group goes on."""
        await self._release(partitions)

    async def lost(self) -> None:
        """Stop relaying at all: others will be given what was ours."""
        await self._release(self.partitions)
        self._readiness.outside()

    async def assigned(self, partitions: Sequence[int]) -> None:
        """Start relaying; restoring happens in the relay's own task, so that the group is still polled.

        A rebalance may end after we began to stop: nobody would end what is started then.
        """
        log.info("partitions_assigned", partitions=partitions)
        await self._release(partitions)
        if self._is_stopping:
            return
        self._readiness.given(partitions)
        for partition in partitions:
            end = asyncio.Event()
            task = asyncio.create_task(self._watch(partition, end), name=f"relay-{partition}")
            self._owned[partition] = (task, end)
        self._metrics.partitions_owned.set(len(self._owned))

    async def _watch(self, partition: int, end: asyncio.Event) -> None:
        try:
            await unless_cancelled(f"relay-{partition}", self._relay(partition, end))
            if not end.is_set():
                raise PartExited(f"relay-{partition} returned before it was asked to")
        except Exception as error:  # noqa: BLE001  # handed to run(), which ends the service
            if self._crash is not None and not self._crash.done():
                self._crash.set_exception(error)

    async def _release(self, partitions: Iterable[int]) -> None:
        leaving = [self._owned.pop(partition) for partition in partitions if partition in self._owned]
        for _, end in leaving:
            end.set()
        if leaving:
            _, late = await asyncio.wait([task for task, _ in leaving], timeout=RELEASE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._metrics.partitions_owned.set(len(self._owned))
