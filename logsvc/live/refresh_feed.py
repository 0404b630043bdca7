"""Makes refresh messages of what Kafka brings: jobs and logs from the live tail, queues and schedulers beside it."""

import asyncio
from collections.abc import Sequence

import structlog

from logsvc.errors import KafkaDown
from logsvc.ingest.batch import Record
from logsvc.kafka import Reader
from logsvc.live.refreshes import Refreshes, Subscription
from logsvc.live.ring import Entry
from logsvc.partitions import Place
from logsvc.settings import LogsvcSettings
from tocsin.events import BadRecord
from tocsin.lifecycle import pause, unless_cancelled
from tocsin.refresh import Refresh, RefreshType, Touched, path_of

log = structlog.get_logger("logsvc.live")

TICK_SECONDS = 0.1
RETRY_SECONDS = 1.0


class RefreshFeed:
    """The stream of refresh messages of this process. Nothing is looked at while nobody listens."""

    def __init__(self, settings: LogsvcSettings) -> None:
        self._settings = settings
        self._refreshes = Refreshes()
        self.is_closing = False
        self._listeners: dict[Subscription, asyncio.Event] = {}

    def listen(self, subscription: Subscription) -> asyncio.Event:
        """Add a listener; the event is set when something waits for it, and for good when the service stops."""
        arrived = self._listeners[subscription] = asyncio.Event()
        return arrived

    def leave(self, subscription: Subscription) -> None:
        """Forget a listener."""
        self._listeners.pop(subscription, None)

    def is_wanted(self, kind: RefreshType) -> bool:
        """Whether anybody listens for this."""
        return any(subscription.wants_any(kind) for subscription in self._listeners)

    def tell(self, kind: RefreshType) -> None:
        """Note that something changed of which Kafka says nothing."""
        self._refreshes.add(Refresh(kind))

    def take(self, entries: Sequence[Entry]) -> None:
        """Note what the live tail has read."""
        if not self._listeners:
            return
        for entry in entries:
            try:
                subject = entry.subject
            except BadRecord:
                continue
            if subject.service:
                self._refreshes.add(Refresh("log-refresh", Touched(id=path_of(subject.service))))
            elif subject.job_id:
                path = path_of(subject.source, subject.queue, subject.job_id)
                touched = Touched(id=path, queue_name=subject.queue, job_id=subject.job_id)
                self._refreshes.add(Refresh("log-refresh" if subject.kind == "log" else "job-refresh", touched))

    async def run(self, stop: asyncio.Event) -> None:
        """Tell the listeners what is due, until stop is set."""
        async with asyncio.TaskGroup() as group:
            group.create_task(unless_cancelled("refreshes of queues", self._read_snapshots(stop)))
            while not await pause(stop, TICK_SECONDS):
                if due := self._refreshes.due():
                    for subscription, arrived in self._listeners.items():
                        if subscription.offer(due):
                            arrived.set()
        self.is_closing = True
        for arrived in self._listeners.values():
            arrived.set()

    async def _read_snapshots(self, stop: asyncio.Event) -> None:
        names = self._settings.topics
        while not stop.is_set():
            try:
                async with Reader(
                    self._settings, "refresh", [names.queues, names.schedulers], from_start=False
                ) as reader:
                    while not stop.is_set():
                        for place, records in (await reader.poll()).items():
                            self._note(place, records)
            except KafkaDown as error:
                log.info("refreshes_interrupted", reason=str(error))
                await pause(stop, RETRY_SECONDS)

    def _note(self, place: Place, records: Sequence[Record]) -> None:
        """By their keys, `source:queue` and `source:queue:scheduler`: no name but the last holds a colon."""
        if not self._listeners:
            return
        for record in records:
            names = (record.key or b"").decode(errors="replace").split(":", 2)
            if place.topic == self._settings.topics.queues and len(names) == 2:
                touched = Touched(id=path_of(*names), queue_name=names[1])
                self._refreshes.add(Refresh("queue-refresh", touched))
            elif len(names) == 3:
                touched = Touched(id=path_of(*names), queue_name=names[1], scheduler_key=names[2])
                self._refreshes.add(Refresh("job-scheduler-refresh", touched))
