"""What somebody lets the bridge do."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bot.store.models.base import Base


class ActionRow(Base):
    """What somebody lets the bridge do; see bot/actions/action.py.

    claimed_by: the process that is at it, until claimed_until.
    chat_id, topic_id: where it was asked for. next_offset: of the jobs topic, see Action.offset; sent_ms: see there.
    """

    __tablename__ = "actions"
    __table_args__ = (Index("actions_on", "id", postgresql_where=text("stage IN ('begun', 'following')")),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    stage: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    env: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    by_id: Mapped[str] = mapped_column(Text)
    by_name: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    claimed_by: Mapped[str] = mapped_column(Text)
    wanted: Mapped[dict[str, Any]] = mapped_column(JSONB)
    fates: Mapped[dict[str, int]] = mapped_column(JSONB)
    count: Mapped[int] = mapped_column(BigInteger)
    incident_id: Mapped[int | None] = mapped_column(BigInteger)
    chat_id: Mapped[int] = mapped_column(BigInteger)
    topic_id: Mapped[int | None] = mapped_column(BigInteger)
    asked_ms: Mapped[int] = mapped_column(BigInteger)
    begun_ms: Mapped[int | None] = mapped_column(BigInteger)
    ended_ms: Mapped[int | None] = mapped_column(BigInteger)
    sent_ms: Mapped[int | None] = mapped_column(BigInteger)
    next_offset: Mapped[int | None] = mapped_column(BigInteger)
    claimed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ActionJob(Base):
    """What became of one job of an action."""

    __tablename__ = "action_jobs"
    action_id: Mapped[int] = mapped_column(ForeignKey("actions.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[str] = mapped_column(Text, primary_key=True)
    fate: Mapped[str] = mapped_column(Text)
