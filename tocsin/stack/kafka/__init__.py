"""One node of Apache Kafka on loopback, or librdkafka's in-memory mock where Java or the jars cannot be had."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tocsin.stack.cache import Say
from tocsin.stack.kafka.archive import with_archive
from tocsin.stack.kafka.coordinators import wait_for_coordinators
from tocsin.stack.kafka.jars import NoJars, ensure_jars
from tocsin.stack.kafka.java import NoJava, find_java
from tocsin.stack.kafka.server import (
    KafkaProgram,
    configure,
    format_storage,
    has_newer_data,
    launch,
    wait_listening,
)
from tocsin.stack.ports import Ports
from tocsin.stack.process import StartFailed, end_leftover, remember, rotate
from tocsin.stack.server import Server

PREFERRED_PORT = 9092
NEWER_DATA = (
    "kafka: its data in {data} was written by a newer Kafka than the one of this release, which cannot read it. "
    "Let it begin anew: mv {data} {data}.newer, then start again. History, incidents and settings stay; what the "
    "queues' streams in Redis still hold is read once more (docs/kafka.md)"
)


class NoKafka(Exception):
    """Apache Kafka cannot be had on this machine; the message says why."""


async def find_kafka(cache: Path, environ: Mapping[str, str], say: Say) -> KafkaProgram:
    """Find or fetch Java and Kafka's jars. Call it in the main thread. Raises NoKafka."""
    try:
        java = await find_java(cache, environ, say)
        jars = await ensure_jars(cache, environ, say)
    except (NoJava, NoJars) as error:
        raise NoKafka(str(error)) from error
    return await with_archive(KafkaProgram(java, jars), cache, say)


async def start_kafka(program: KafkaProgram, data: Path, ports: Ports, preferred: int = PREFERRED_PORT) -> Server:
    """Start Apache Kafka on data and wait until it serves. Call it in the main thread. Raises StartFailed."""
    await end_leftover(data / "kafka.pid")
    port = ports.take("kafka", preferred)
    properties = configure(data, port, ports.take("kafka-controller", 0))
    await asyncio.to_thread(format_storage, program, properties)
    log_file = data / "kafka.log"
    rotate(log_file)
    begin = log_file.stat().st_size if log_file.exists() else 0
    child = launch(program, properties, log_file)
    remember(child, data / "kafka.pid")
    try:
        await wait_listening(child, port)
        await wait_for_coordinators(f"127.0.0.1:{port}")
    except StartFailed:
        await child.stop()
        if has_newer_data(log_file, begin):
            raise StartFailed(NEWER_DATA.format(data=data)) from None
        raise
    except TimeoutError:
        await child.stop()
        raise StartFailed(f"kafka listens but cannot serve groups; see {child.command.log_file}") from None
    except BaseException:
        await child.stop()
        raise
    return Server("kafka", child, f"127.0.0.1:{port}", {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"})
