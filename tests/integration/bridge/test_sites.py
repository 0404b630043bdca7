"""Two sites share Kafka's topics: what one is in the middle of must not hide what the other has done."""

import asyncio

from bridge.kafka import Writer, read_cursors
from bridge.record import Record
from bridge.settings import BridgeSettings
from tocsin.settings import read
from tocsin.topic_admin import until_topics_fit


def site(name: str, bootstrap: str, prefix: str) -> BridgeSettings:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_TOPIC_PREFIX": prefix,
        "KAFKA_PARTITIONS": "1",
        "REDIS_URL": "redis://unused",
        "BRIDGE_SITE": name,
    }
    return read(BridgeSettings, environ)


class HeldWriter(Writer):
    """A writer whose commit waits until the test lets it. is_sent: all but the commit is done."""

    released: asyncio.Event
    is_sent: asyncio.Event

    async def _commit(self) -> None:
        self.is_sent.set()
        await self.released.wait()
        await super()._commit()


async def test_another_sites_open_transaction_hides_no_cursor(kafka_bootstrap: str, topic_prefix: str) -> None:
    us, eu = site("us", kafka_bootstrap, topic_prefix), site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(us, asyncio.Event())
    cursors = us.topics.cursors
    async with HeldWriter(us, 0) as other, Writer(eu, 0) as mine:
        other.released, other.is_sent = asyncio.Event(), asyncio.Event()
        await mine.write([Record(cursors, b"eu:main:orders", b"1")])
        open_transaction = asyncio.create_task(other.write([Record(cursors, b"us:main:orders", b"1")]))
        await other.is_sent.wait()  # every batch is acknowledged: its record is in the log before ours
        await mine.write([Record(cursors, b"eu:main:orders", b"2")])
        restoring = asyncio.create_task(read_cursors(eu, 0))
        await asyncio.wait({restoring}, timeout=1.5)
        other.released.set()
        await open_transaction
        assert (await restoring)[b"eu:main:orders"] == b"2"
