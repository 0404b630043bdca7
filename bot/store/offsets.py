"""Kafka positions, moved only together with what the records did; and how far they are behind what is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
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


@dataclass(frozen=True)
class Reading:
    """How far one partition is read. heard_ms: whatever reached it before then is counted. lag: still to be read."""

    heard_ms: int | None
    lag: int | None


@dataclass(frozen=True)
class Whole:
    """How far a topic is read, whichever bots read its partitions: as far as the one furthest behind.

    heard_ms, lag: None = not known of every partition. read_ago: seconds since the one looked at longest ago was.
    """

    heard_ms: int | None = None
    lag: int | None = None
    read_ago: float | None = None


async def note_reading(session: AsyncSession, cluster: str, topic: str, readings: Mapping[int, Reading]) -> None:
    """Note how far our partitions are read, now. Nobody hears less than was heard before."""
    for partition, one in sorted(readings.items()):
        await session.execute(
            update(KafkaOffset)
            .where(KafkaOffset.cluster == cluster, KafkaOffset.topic == topic, KafkaOffset.partition == partition)
            .values(
                heard_ms=func.greatest(KafkaOffset.heard_ms, one.heard_ms), lag=one.lag, read_at=func.clock_timestamp()
            ),
            execution_options={"synchronize_session": False},
        )


async def whole_reading(session: AsyncSession, cluster: str, topic: str, partitions: int) -> Whole:
    """How far all of a topic's partitions are read; one that nobody has ever read is not known.

    A topic that was made anew with fewer partitions leaves rows behind, which nobody will ever read on.
    """
    mine = (KafkaOffset.cluster == cluster, KafkaOffset.topic == topic, KafkaOffset.partition < partitions)
    ago = func.extract("epoch", func.clock_timestamp() - func.min(KafkaOffset.read_at))
    counts = (func.count(KafkaOffset.heard_ms), func.count(KafkaOffset.lag), func.count(KafkaOffset.read_at))
    heard, lag = func.min(KafkaOffset.heard_ms), func.sum(KafkaOffset.lag)
    row = (await session.execute(select(*counts, heard, lag, ago).where(*mine))).one()
    known = [bool(partitions) and count >= partitions for count in row[:3]]
    return Whole(
        heard_ms=row[3] if known[0] else None,
        lag=int(row[4] or 0) if known[1] else None,
        read_ago=max(0.0, float(row[5])) if known[2] else None,
    )
