"""Incidents, what keeps them quiet, and what rules remember of them."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Double, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bot.store.models.base import Base


class IncidentRow(Base):
    """One kind of failure of one queue; see bot/incidents/machine.py for the meaning of the columns.

    rung_ms: when this episode rang, or began to wait for the morning digest instead. storm_id: the storm that tells of
    it, instead of a message of its own. page_due_ms: when the next one is paged if nobody has taken it; None = there is
    nobody left. held_ms: since when it waits for the digest.
    """

    __tablename__ = "incidents"
    __table_args__ = (
        UniqueConstraint("env", "source", "queue", "fingerprint", name="incidents_key"),
        Index("incidents_open", "touched_ms", postgresql_where=text("phase <> 'resolved'")),
        Index("incidents_rung", "env", "rung_ms"),
        Index("incidents_held", "held_ms", postgresql_where=text("held_ms IS NOT NULL")),
        Index("incidents_page_due", "page_due_ms", postgresql_where=text("page_due_ms IS NOT NULL")),
        Index("incidents_storm", "storm_id", postgresql_where=text("storm_id IS NOT NULL")),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    env: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)
    phase: Mapped[str] = mapped_column(Text)
    episode: Mapped[int] = mapped_column(Integer)
    count: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    first_ms: Mapped[int] = mapped_column(BigInteger)
    last_ms: Mapped[int] = mapped_column(BigInteger)
    touched_ms: Mapped[int] = mapped_column(BigInteger)
    previous_ms: Mapped[int | None] = mapped_column(BigInteger)
    has_rung: Mapped[bool] = mapped_column(Boolean)
    last: Mapped[dict[str, Any]] = mapped_column(JSONB)
    previous_by: Mapped[str] = mapped_column(Text, server_default="")
    acked_by: Mapped[int | None] = mapped_column(BigInteger)
    acked_ms: Mapped[int | None] = mapped_column(BigInteger)
    taken_by: Mapped[str] = mapped_column(Text, server_default="")
    silenced_until_ms: Mapped[int | None] = mapped_column(BigInteger)
    hidden: Mapped[int] = mapped_column(BigInteger, server_default="0")
    told_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    told_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    workers: Mapped[dict[str, int]] = mapped_column(JSONB, server_default="{}")
    notes: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    rule: Mapped[str] = mapped_column(Text, server_default="")
    rung_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    storm_id: Mapped[int | None] = mapped_column(ForeignKey("storms.id", ondelete="SET NULL"))
    paged: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    page_due_ms: Mapped[int | None] = mapped_column(BigInteger)
    held_ms: Mapped[int | None] = mapped_column(BigInteger)
    deploy: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class StormRow(Base):
    """Many incidents of one env at once; see bot/incidents/storms.py. is_open: it still takes in new ones.

    told_ms, told_count: when it last made a sound, and how many failures nobody had taken then.
    """

    __tablename__ = "storms"
    __table_args__ = (Index("storms_open", "env", unique=True, postgresql_where=text("is_open")),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    env: Mapped[str] = mapped_column(Text)
    began_ms: Mapped[int] = mapped_column(BigInteger)
    joined_ms: Mapped[int] = mapped_column(BigInteger)
    is_open: Mapped[bool] = mapped_column(Boolean)
    told_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    told_count: Mapped[int] = mapped_column(BigInteger, server_default="0")


class SilenceRow(Base):
    """A silence, or the maintenance of an env; see bot/incidents/silences.py. An empty part of its scope means any.

    hidden, kinds: failures it kept quiet. chat_id, topic_id: where it was asked for, and where its end is told.
    """

    __tablename__ = "silences"
    __table_args__ = (Index("silences_on", "until_ms", postgresql_where=text("ended_ms IS NULL")),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    is_maintenance: Mapped[bool] = mapped_column(Boolean)
    env: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    by_id: Mapped[int] = mapped_column(BigInteger)
    by_name: Mapped[str] = mapped_column(Text)
    from_ms: Mapped[int] = mapped_column(BigInteger)
    until_ms: Mapped[int] = mapped_column(BigInteger)
    ended_ms: Mapped[int | None] = mapped_column(BigInteger)
    ended_by: Mapped[str] = mapped_column(Text)
    hidden: Mapped[int] = mapped_column(BigInteger)
    kinds: Mapped[dict[str, int]] = mapped_column(JSONB)
    chat_id: Mapped[int] = mapped_column(BigInteger)
    topic_id: Mapped[int | None] = mapped_column(BigInteger)


class WatchRow(Base):
    """What a rule remembers of one place while it is not well there; see bot/rules/conditions.py."""

    __tablename__ = "watches"
    rule: Mapped[str] = mapped_column(Text, primary_key=True)
    env: Mapped[str] = mapped_column(Text, primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    queue: Mapped[str] = mapped_column(Text, primary_key=True)
    part: Mapped[str] = mapped_column(Text, primary_key=True)
    since_ms: Mapped[int] = mapped_column(BigInteger)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    is_firing: Mapped[bool] = mapped_column(Boolean)
    well_since_ms: Mapped[int | None] = mapped_column(BigInteger)


class RuleRow(Base):
    """What people have changed of one rule; see bot/rules/rulebook.py. NULL = as it ships."""

    __tablename__ = "rules"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    is_on: Mapped[bool | None] = mapped_column(Boolean)
    fire: Mapped[float | None] = mapped_column(Double)
    resolve: Mapped[float | None] = mapped_column(Double)
    fire_seconds: Mapped[float | None] = mapped_column(Double)
    resolve_seconds: Mapped[float | None] = mapped_column(Double)
    least: Mapped[float | None] = mapped_column(Double)
    version: Mapped[int] = mapped_column(Integer)
    changed_by: Mapped[str] = mapped_column(Text)
    changed_ms: Mapped[int] = mapped_column(BigInteger)
