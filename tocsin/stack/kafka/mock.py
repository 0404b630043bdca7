"""librdkafka's in-memory Kafka, for where Java or the jars cannot be had: `python -m tocsin.stack.kafka.mock`.

It is a test double and behaves so: nothing survives its process, each partition keeps its newest 5 MiB, transactions
are answered but not kept (aborted records are visible), and two members in one consumer group do not work. Topics
must be named at the start; it cannot create them on request.
"""

import argparse
import asyncio
import ctypes
import importlib
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tocsin.stack.ports import Ports
from tocsin.stack.process import Command, accepts_connections, start, wait_ready
from tocsin.stack.server import Server

NOTICE = (
    "Kafka: an in-memory stand-in is running instead of Apache Kafka. It keeps nothing across a restart, holds 5 MiB "
    "a partition, and delivers at least once, not exactly once."
)
_HOST = "127.0.0.1"
_PRODUCER = 0
_BROKER = 1
_REBALANCE_DELAY_MS = 100
_CHUNK = 256 * 1024


async def start_mock(data: Path, ports: Ports, preferred: int, topics: Mapping[str, int]) -> Server:
    """Start the stand-in with these topics (name -> partitions) and wait until it listens. Main thread only."""
    port = ports.take("kafka", preferred)
    words = [f"{name}:{partitions}" for name, partitions in topics.items()]
    argv = [sys.executable, "-m", "tocsin.stack.kafka.mock", "--port", str(port), *words]
    child = start(Command("kafka", argv, data / "kafka.log"))
    try:
        await wait_ready(child, lambda: accepts_connections(port), seconds=30)
    except BaseException:
        await child.stop()
        raise
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": f"{_HOST}:{port}",
        "KAFKA_TRANSACTIONS": "false",
        "KAFKA_TOPICS_CREATE": "check",
    }
    return Server("kafka", child, f"{_HOST}:{port}", settings)


class MockCluster:
    """One broker inside librdkafka, reached by the wheel's exported rd_kafka_mock_* functions."""

    def __init__(self) -> None:
        extension = importlib.import_module("confluent_kafka.cimpl")
        self._library = ctypes.CDLL(str(extension.__file__))
        pointers = ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new")
        for name in pointers:
            getattr(self._library, name).restype = ctypes.c_void_p
        self._library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        problem = ctypes.create_string_buffer(256)
        configuration = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        client = self._library.rd_kafka_new(_PRODUCER, configuration, problem, ctypes.c_size_t(256))
        if not client:
            raise OSError(problem.value.decode())
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), 1))
        self._call("rd_kafka_mock_set_controller_id", _BROKER)
        self._call("rd_kafka_mock_group_initial_rebalance_delay_ms", _REBALANCE_DELAY_MS)

    def listens_on(self) -> int:
        """The broker's real port, which it chose itself."""
        bootstraps: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return int(bootstraps.rpartition(b":")[2])

    def advertise(self, port: int) -> None:
        """Tell clients to come to this port instead."""
        self._call("rd_kafka_mock_broker_set_host_port", _BROKER, _HOST.encode(), port)

    def create_topic(self, name: str, partitions: int) -> None:
        self._call("rd_kafka_mock_topic_create", name.encode(), partitions, 1)

    def _call(self, function: str, *arguments: object) -> None:
        error = getattr(self._library, function)(self._cluster, *arguments)
        if function != "rd_kafka_mock_group_initial_rebalance_delay_ms" and error:  # that one returns nothing
            raise OSError(f"{function} failed with Kafka error {error}")


async def serve(port: int, topics: Mapping[str, int]) -> None:
    """Run the stand-in on a fixed port until SIGTERM: librdkafka only listens on a port of its own choice."""
    cluster = MockCluster()
    for name, partitions in topics.items():
        cluster.create_topic(name, partitions)
    inner = cluster.listens_on()
    cluster.advertise(port)
    pumps: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(_bridge(reader, writer, inner))
        pumps.add(task)
        task.add_done_callback(pumps.discard)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with await asyncio.start_server(accept, _HOST, port):
        print(f"ready {_HOST}:{port}", flush=True)
        await stop.wait()
        for task in pumps:
            task.cancel()


async def _bridge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inner: int) -> None:
    with suppress(OSError):
        inner_reader, inner_writer = await asyncio.open_connection(_HOST, inner)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, inner_writer))
                group.create_task(_pump(inner_reader, writer))
        finally:
            inner_writer.close()
    writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


def main() -> int:
    """`--port N NAME:PARTITIONS …`"""
    parser = argparse.ArgumentParser(prog="python -m tocsin.stack.kafka.mock", description="In-memory Kafka stand-in.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("topics", nargs="*", help="NAME:PARTITIONS")
    arguments = parser.parse_args()
    topics = {name: int(partitions) for name, _, partitions in (word.rpartition(":") for word in arguments.topics)}
    asyncio.run(serve(arguments.port, topics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
