"""When everything has arrived: waits on counts, not on time."""

from collections.abc import Sequence

from tests.clients import redis
from tests.eventually import eventually
from tests.kafka_positions import Committed
from tests.product import Product


async def entries_added(redis_url: str, queues: Sequence[str], *, prefix: str = "bull") -> int:
    """How many entries these queues' event streams ever had."""
    client = redis.from_url(redis_url)
    try:
        return sum([int((await client.xinfo_stream(f"{prefix}:{queue}:events"))["entries-added"]) for queue in queues])
    finally:
        await client.aclose()


async def everything_relayed(tocsin: Product, redis_url: str, queues: Sequence[str]) -> int:
    """Wait until Kafka holds an event for every stream entry; return how many."""
    expected = await entries_added(redis_url, queues)
    async with Committed(tocsin.kafka, [f"{tocsin.prefix}jobs"]) as committed:

        async def relayed() -> bool:
            return await committed.count() >= expected

        await eventually(relayed, what=f"{expected} events in Kafka")
    return expected


async def everything_stored(tocsin: Product) -> None:
    """Wait until logsvc has stored every record that is in Kafka now."""
    async with Committed(tocsin.kafka, [f"{tocsin.prefix}jobs", f"{tocsin.prefix}logs"]) as committed:

        async def stored() -> bool:
            return await committed.are_read_by(f"{tocsin.prefix}logsvc")

        await eventually(stored, what="logsvc at the end of Kafka")
