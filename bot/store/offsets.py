"""Kafka positions, moved only together with what the records did."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import Fenced
from bot.store.models import KafkaOffset


async def read_offsets(session: AsyncSession, cluster: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
    """Partition -> next offset, for those that have one."""
    rows = await session.execute(
        select(KafkaOffset.partition, KafkaOffset.next_offset).where(
            KafkaOffset.cluster == cluster, KafkaOffset.topic == topic, KafkaOffset.partition.in_(partitions)
        )
    )
    return {partition: offset for partition, offset in rows}


async def begin_at(session: AsyncSession, cluster: str, topic: str, partition: int, offset: int) -> None:
    """Begin a partition that has no position. Raises Fenced if somebody else has begun it since we looked."""
    values = {"cluster": cluster, "topic": topic, "partition": partition, "next_offset": offset}
    begun = await session.execute(
        insert(KafkaOffset).values(values).on_conflict_do_nothing().returning(KafkaOffset.next_offset)
    )
    if begun.scalar_one_or_none() is None:
        raise Fenced(f"{topic}[{partition}] has a position already")


async def advance(session: AsyncSession, cluster: str, topic: str, partition: int, was: int, to: int) -> None:
    """Move a position on. Raises Fenced if somebody else moved it since we read it."""
    moved = await session.execute(
        update(KafkaOffset)
        .where(
            KafkaOffset.cluster == cluster,
            KafkaOffset.topic == topic,
            KafkaOffset.partition == partition,
            KafkaOffset.next_offset == was,
        )
        .values(next_offset=to)
        .returning(KafkaOffset.next_offset)
    )
    if moved.scalar_one_or_none() is None:
        raise Fenced(f"{topic}[{partition}] is no longer at {was}")
