"""A service's own lines on their way to Kafka: what they hold, what is left out, and that they are bounded."""

import asyncio
import json
import logging
from collections.abc import Generator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from tests.eventually import READY_SECONDS
from tests.ports import free_port
from tocsin.events import Level, LogLine, decode
from tocsin.log_topic import BURST, LEFT_OUT, LINES_PER_SECOND, MOST_BYTES, MOST_LINES, LogTopic
from tocsin.logs import set_up_service_logs
from tocsin.settings import Settings, read

PASSWORD = "canary-kafka-77aa"


def settings(**more: str) -> Settings:
    given = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "LOG_FORMAT": "json"}
    return read(Settings, {**given, **more})


@pytest.fixture
def topic() -> Generator[LogTopic]:
    """A topic that the loggers of this process write to."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    secret = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN"}
    configured = settings(**secret, KAFKA_SASL_USERNAME="u", KAFKA_SASL_PASSWORD=PASSWORD)
    one = LogTopic(configured)
    set_up_service_logs(configured, one)
    yield one
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(topic: LogTopic) -> list[LogLine]:
    return [decode(LogLine, line.body) for line in topic.queued]


def test_a_line_says_what_stdout_says_without_secrets(topic: LogTopic) -> None:
    structlog.get_logger("shop").warning("cart_lost", items=3, password=f"it was {PASSWORD}", deep={"a": [1]})
    logging.getLogger("library").error("no %s at %s", "answer", PASSWORD)
    try:
        raise RuntimeError(PASSWORD)
    except RuntimeError:
        structlog.get_logger("shop").exception("crashed")
    structlog.get_logger("shop").debug("small_talk")
    one, other, crash = lines(topic)
    assert (one.service, one.level, one.message) == ("tocsin", Level.WARN, "cart_lost items=3 password=it was [hidden]")
    assert json.loads(one.fields) == {"items": 3, "password": "it was [hidden]", "deep": {"a": [1]}}
    assert (other.level, other.message) == (Level.ERROR, "no answer at [hidden]")
    assert "RuntimeError: [hidden]" in json.loads(crash.fields)["exception"]
    assert len({one.id, other.id, crash.id}) == 3


@pytest.mark.parametrize("name", [*LEFT_OUT, "aiokafka.conn", "logsvc.ingest.ingest.lane"])
def test_what_would_make_lines_out_of_lines_is_left_out(topic: LogTopic, name: str) -> None:
    logging.getLogger(name).error("again")
    structlog.get_logger(name).error("again")
    assert topic.waiting == topic.dropped == 0


def put(topic: LogTopic, number: int, message: str = "m") -> None:
    for _ in range(number):
        topic.put("shop", Level.INFO, message, {})


def test_what_waits_is_bounded_and_so_is_what_comes_in_a_second() -> None:
    now = 0.0
    topic = LogTopic(settings(), clock=lambda: now)
    put(topic, BURST + 500)
    assert (topic.waiting, topic.dropped) == (MOST_LINES, 500)
    now = 1.0
    put(topic, LINES_PER_SECOND + 7)
    assert (topic.waiting, topic.dropped) == (MOST_LINES, 500 + LINES_PER_SECOND + 7)
    big = LogTopic(settings())
    for _ in range(1_000):
        big.put("shop", Level.INFO, "x" * 10_000, {"why": "y" * 100_000})
    assert sum(len(line.body) for line in big.queued) <= MOST_BYTES
    assert big.dropped > 0


async def test_a_kafka_that_is_away_holds_up_neither_memory_nor_the_end() -> None:
    topic = LogTopic(settings())
    registry: Any = CollectorRegistry()
    stop = asyncio.Event()
    running = asyncio.create_task(topic.run(stop, registry))
    put(topic, 10 * MOST_LINES)
    await asyncio.sleep(0)
    assert topic.waiting <= MOST_LINES
    stop.set()
    async with asyncio.timeout(READY_SECONDS):
        await running
    assert registry.get_sample_value("tocsin_log_lines_total", {"outcome": "dropped"}) == 9 * MOST_LINES
