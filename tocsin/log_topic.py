"""A service's own log lines on their way to Kafka's `logs` topic, where the page shows them beside those of jobs.

At most once each while Kafka answers; lines wait in memory while it does not, the oldest going first, counted. Nothing
here may make lines out of lines: what Kafka's clients, this module and the path of records themselves log is left out
(it is on stdout), and no more than LINES_PER_SECOND go out, whatever happens.
"""

import asyncio
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Counter

from tocsin.events import VERSION, Level, LogLine, encode
from tocsin.kafka import client_options
from tocsin.lifecycle import close_within, pause
from tocsin.settings import Settings
from tocsin.times import current_ms

log = structlog.get_logger("log_topic")

LEFT_OUT = ("aiokafka", "log_topic", "kafka", "bridge.kafka", "logsvc.kafka", "logsvc.ingest.ingest", "consume")
"""Loggers, with those below them, whose lines would cause others: clients of Kafka, and what stores records."""

MOST_LINES = 2_000
MOST_BYTES = 2 * 1024 * 1024
"""What waits for Kafka."""
LINES_PER_SECOND = 200
BURST = 2_000
AT_ONCE = 200
IDLE_SECONDS = 0.2
SEND_SECONDS = 5.0
CLOSE_SECONDS = 2.0
MOST_BACKOFF_SECONDS = 30.0
LONGEST_MESSAGE = 4_096
LONGEST_FIELDS = 32_768

_LEVELS = {"debug": Level.DEBUG, "info": Level.INFO, "warning": Level.WARN}
_NOT_FIELDS = ("event", "level", "timestamp", "service", "_record", "_from_structlog")


class _Encoded(NamedTuple):
    service: bytes
    id: bytes
    body: bytes

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        return [("ce_id", self.id), ("ce_type", b"tocsin.log")]


class LogTopic:
    """What waits to be sent, and its sending. `put` may be called from any thread."""

    def __init__(
        self, settings: Settings, *, counted_as: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """counted_as: prefix of the metric, the service's name unless these are another's lines."""
        self._counted_as = counted_as or settings.service
        self.sent = 0
        self.dropped = 0
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self.queued: deque[_Encoded] = deque()
        """Encoded lines that are not on their way yet, oldest first."""
        self._bytes = 0
        self._allowance = float(BURST)
        self._allowed_at = clock()
        self._in_hand: list[_Encoded] = []
        self._instance = uuid.uuid4().hex[:12]
        self._number = 0

    @property
    def waiting(self) -> int:
        """Lines that Kafka has not acknowledged."""
        return len(self.queued) + len(self._in_hand)

    def put(self, service: str, level: Level, message: str, fields: Mapping[str, Any], ts_ms: int = 0) -> None:
        """Queue a line. Never blocks; what is too much is dropped and counted."""
        with self._lock:
            if not self._is_allowed():
                self.dropped += 1
                return
            self._number += 1
            line = LogLine(
                v=VERSION,
                id=f"{service}:{self._instance}:{self._number}",
                ts=ts_ms or current_ms(),
                level=level,
                message=message[:LONGEST_MESSAGE],
                service=service,
                fields=_fields(fields),
            )
            body = encode(line)
            self.queued.append(_Encoded(service.encode(), line.id.encode(), body))
            self._bytes += len(body)
            while len(self.queued) > MOST_LINES or self._bytes > MOST_BYTES:
                self._bytes -= len(self.queued.popleft().body)
                self.dropped += 1

    def _is_allowed(self) -> bool:
        now = self._clock()
        self._allowance = min(BURST, self._allowance + (now - self._allowed_at) * LINES_PER_SECOND)
        self._allowed_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    async def run(self, stop: asyncio.Event, registry: CollectorRegistry) -> None:
        """Send until stop is set, then once more."""
        told = _Told(self._counted_as, registry)
        backoff = 1.0
        producer: AIOKafkaProducer | None = None
        try:
            while not await pause(stop, IDLE_SECONDS) or self.waiting:
                told.of(self)
                if not self.waiting:
                    continue
                try:
                    if producer is None:
                        producer = await self._connect()
                    await self._send_some(producer)
                    backoff = 1.0
                except (KafkaError, OSError, TimeoutError) as error:
                    if stop.is_set():
                        return
                    await _close(producer)
                    producer = None
                    log.info("lines_wait_for_kafka", lines=self.waiting, reason=str(error) or type(error).__name__)
                    await pause(stop, backoff)
                    backoff = min(MOST_BACKOFF_SECONDS, backoff * 2)
        finally:
            told.of(self)
            await _close(producer)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **client_options(self._settings, f"{self._settings.service}-logs"),
            acks=1,
            compression_type="zstd",
            request_timeout_ms=int(SEND_SECONDS * 1000),
        )
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await producer.start()
        except BaseException:
            await _close(producer)
            raise
        return producer

    async def _send_some(self, producer: AIOKafkaProducer) -> None:
        """Send the oldest lines and wait until Kafka has them; those it does not acknowledge are sent again."""
        if not self._in_hand:
            with self._lock:
                self._in_hand = [self.queued.popleft() for _ in range(min(AT_ONCE, len(self.queued)))]
                self._bytes -= sum(len(line.body) for line in self._in_hand)
        topic = self._settings.topics.logs
        async with asyncio.timeout(SEND_SECONDS):
            sending = [
                await producer.send(topic, line.body, key=line.service, headers=line.headers) for line in self._in_hand
            ]
            await asyncio.gather(*sending)
        self.sent += len(self._in_hand)
        self._in_hand = []


class Handler(logging.Handler):
    """Hands the lines of this process's loggers to the topic. Its formatter runs structlog's processors, ours last."""

    def __init__(self, topic: LogTopic, service: str) -> None:
        super().__init__(logging.INFO)
        self._topic = topic
        self._service = service

    def filter(self, record: logging.LogRecord) -> bool:
        if any(record.name == name or record.name.startswith(f"{name}.") for name in LEFT_OUT):
            return False
        return bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.format(record)
        except Exception:  # noqa: BLE001  # logging calls this from anywhere: no line may be the end of its caller
            self._topic.dropped += 1

    def take(self, _logger: object, _method: str, line: MutableMapping[str, Any]) -> str:
        """The last processor: what comes out of the others becomes a line."""
        fields = {name: value for name, value in line.items() if name not in _NOT_FIELDS}
        event = str(line.get("event", ""))
        short = [f"{name}={value}" for name, value in fields.items() if name != "exception" and _is_short(value)]
        level = _LEVELS.get(str(line.get("level", "info")), Level.ERROR)
        self._topic.put(self._service, level, " ".join([event, *short]), fields)
        return ""


def _is_short(value: object) -> bool:
    return isinstance(value, (str, int, float)) and len(str(value)) <= 200


def _fields(fields: Mapping[str, Any]) -> str:
    if not fields:
        return ""
    text = msgspec.json.encode(fields, enc_hook=str).decode()
    if len(text) <= LONGEST_FIELDS:
        return text
    return msgspec.json.encode({name: str(value)[:500] for name, value in list(fields.items())[:40]}).decode()


class _Told:
    """The counters, brought up to what the topic has counted."""

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        self._lines = lines_counter(service, registry)
        self._said = {"sent": 0, "dropped": 0}

    def of(self, topic: LogTopic) -> None:
        for outcome, now in (("sent", topic.sent), ("dropped", topic.dropped)):
            self._lines.labels(outcome).inc(now - self._said[outcome])
            self._said[outcome] = now


def lines_counter(service: str, registry: CollectorRegistry) -> Counter:
    """The metric of a service's own log lines."""
    return Counter(
        f"{service}_log_lines_total",
        "Log lines for the page: sent to Kafka, or dropped (too many, or Kafka was away for long)",
        ["outcome"],
        registry=registry,
    )


async def _close(producer: AIOKafkaProducer | None) -> None:
    if producer is None:
        return
    try:
        await close_within(CLOSE_SECONDS, producer.stop())
    except (KafkaError, OSError, TimeoutError) as error:
        log.info("log_producer_left_open", reason=str(error) or type(error).__name__)
