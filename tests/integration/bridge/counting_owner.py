"""A replica that relays a made-up source: each partition's cursor is a number, each transaction the next ten numbers.

Run as a process, so that it can be killed, stopped and woken. It uses the bridge's own ownership and writer; only the
Redis side is replaced. With --fail-every N every Nth transaction has a batch whose delivery fails.
"""

import argparse
import asyncio
import sys

from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from bridge.errors import WriterLost
from bridge.kafka import Membership, Writer, read_cursors
from bridge.metrics import Metrics
from bridge.partition.ownership import Ownership
from bridge.readiness import Readiness
from bridge.record import Record
from bridge.settings import BridgeSettings
from tocsin.health import Health
from tocsin.lifecycle import run_service, supervise
from tocsin.settings import read
from tocsin.topic_admin import until_topics_fit

STEP = 10
KEY = b"cursor"


class SpoiledWriter(Writer):
    """Loses one batch of every Nth transaction: it is never sent, and only its future says so."""

    fail_every = 0
    transactions = 0

    async def _send(self, batch: object, topic: str, partition: int) -> asyncio.Future[object]:  # type: ignore[override]  # a fault
        if topic.endswith("jobs"):
            SpoiledWriter.transactions += 1
            if self.fail_every and SpoiledWriter.transactions % self.fail_every == 0:
                failed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
                failed.set_exception(KafkaError("injected: this batch was not delivered"))
                return failed
        return await super()._send(batch, topic, partition)


async def run(settings: BridgeSettings, limit: int, stop: asyncio.Event) -> None:
    async def relay(partition: int, end: asyncio.Event) -> None:
        while not end.is_set():
            try:
                async with SpoiledWriter(settings, partition) as writer:
                    position = int((await read_cursors(settings, partition)).get(KEY, b"0"))
                    while not end.is_set():
                        if position >= limit:
                            await asyncio.sleep(0.05)
                            continue
                        numbers = range(position, position + STEP)
                        position += STEP
                        records = [Record.of(settings.topics.jobs, b"k", str(number).encode()) for number in numbers]
                        await writer.write(
                            writer.batches([*records, Record.of(settings.topics.cursors, KEY, str(position).encode())])
                        )
            except WriterLost as lost:
                sys.stderr.write(f"writer lost: {lost}\n")
                await asyncio.sleep(0.2)

    await until_topics_fit(settings, stop)
    ownership = Ownership(relay, Metrics(CollectorRegistry()), Readiness(Health()))
    membership = Membership(settings, ownership)
    await supervise(
        {"membership": lambda: membership.run(stop), "ownership": lambda: ownership.run(stop)}, stop, drain_seconds=5
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--limit", type=int, required=True)
    parser.add_argument("--fail-every", type=int, default=0)
    options = parser.parse_args()
    SpoiledWriter.fail_every = options.fail_every
    settings = read(
        BridgeSettings,
        {
            "KAFKA_BOOTSTRAP_SERVERS": options.bootstrap,
            "KAFKA_TOPIC_PREFIX": options.prefix,
            "KAFKA_PARTITIONS": "4",
            "REDIS_URL": "redis://unused",
            "BRIDGE_SESSION_SECONDS": "6",
        },
    )
    return run_service("counting-owner", lambda stop: run(settings, options.limit, stop))


if __name__ == "__main__":
    raise SystemExit(main())
