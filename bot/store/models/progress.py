"""How far the bots are, and which of them does what."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from bot.store.models.base import Base, now


class KafkaOffset(Base):
    """The next record to read of a partition, moved in the transaction that stores what the records before it did.

    cluster: Kafka's cluster id; a rebuilt cluster begins anew. heard_ms: whatever reached the partition before then is
    counted; lag: how much was still to be read when its reader looked last, at read_at by Postgres' clock.
    """

    __tablename__ = "kafka_offsets"
    cluster: Mapped[str] = mapped_column(Text, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    next_offset: Mapped[int] = mapped_column(BigInteger)
    heard_ms: Mapped[int | None] = mapped_column(BigInteger)
    lag: Mapped[int | None] = mapped_column(BigInteger)
    read_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Milestone(Base):
    """What happened once and must not happen again after a restart (`born`, `greeted`, `watched`), or when it last did
    (`probed`, `seen:SOURCE`).
    """

    __tablename__ = "milestones"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)


class UpdateRow(Base):
    """An update of Telegram's that has changed something; see bot/store/updates.py."""

    __tablename__ = "updates"
    __table_args__ = (Index("updates_heard", "heard_at"),)
    update_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    heard_at: Mapped[datetime] = now()


class LeaseRow(Base):
    """What only one bot may do at a time. fence: how often it has changed hands; until: by Postgres' clock."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[str] = mapped_column(Text)
    fence: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
