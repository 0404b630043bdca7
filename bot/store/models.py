"""The bot's tables. Times in `*_ms` are milliseconds since 1970 UTC, as in Kafka."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of the tables."""


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


class IncidentRow(Base):
    """One kind of failure of one queue; see bot/incidents/machine.py for the meaning of the columns.

    rung_ms: when this episode rang. storm_id: the storm that tells of it, instead of a message of its own. page_due_ms:
    when the next one is paged if nobody has taken it; None = there is nobody left. held_ms: since when it waits for the
    morning digest instead of ringing.
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


class LateSummary(Base):
    """What was read late, for one destination; a new one begins when the last is long untouched.

    ended_ms: since when all is over that only this told of.
    """

    __tablename__ = "late_summaries"
    __table_args__ = (Index("late_summaries_on", "id", postgresql_where=text("ended_ms IS NULL")),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    chat_id: Mapped[int] = mapped_column(BigInteger)
    topic_id: Mapped[int | None] = mapped_column(BigInteger)
    touched_ms: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(BigInteger)
    kinds: Mapped[dict[str, int]] = mapped_column(JSONB)
    first_ms: Mapped[int] = mapped_column(BigInteger)
    last_ms: Mapped[int] = mapped_column(BigInteger)
    ended_ms: Mapped[int | None] = mapped_column(BigInteger)


class Card(Base):
    """The outbox: one message in one chat, kept up to date. Due while wanted > sent.

    text is always the newest wanted one, so edits that pile up coalesce. message_id: None until Telegram took it.
    state: live; dead = can never arrive, `note` says why; closed = somebody removed the message, or it came too late. A
    live card with a note waits for its chat to let us in again. failures: tries in vain since the last that was not.
    reply_to: the message in the same chat that this one is shown below. claimed_by: the process that is sending it,
    until claimed_until by Postgres' clock; then anybody may send it.
    """

    __tablename__ = "cards"
    __table_args__ = (
        Index("cards_due", "chat_id", "id", postgresql_where=text("state = 'live' AND wanted > sent")),
        Index("cards_incident", "incident_id", "episode"),
        Index("cards_late", "late_id", postgresql_where=text("late_id IS NOT NULL")),
        Index("cards_storm", "storm_id", postgresql_where=text("storm_id IS NOT NULL")),
        Index("cards_message", "chat_id", "message_id", postgresql_where=text("message_id IS NOT NULL")),
        Index("cards_action", "action_id", postgresql_where=text("action_id IS NOT NULL")),
        Index("cards_dead", "changed_ms", postgresql_where=text("state = 'dead'")),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incidents.id", ondelete="CASCADE"))
    episode: Mapped[int | None] = mapped_column(Integer)
    late_id: Mapped[int | None] = mapped_column(ForeignKey("late_summaries.id", ondelete="CASCADE"))
    storm_id: Mapped[int | None] = mapped_column(ForeignKey("storms.id", ondelete="CASCADE"))
    action_id: Mapped[int | None] = mapped_column(ForeignKey("actions.id", ondelete="CASCADE"))
    chat_id: Mapped[int] = mapped_column(BigInteger)
    topic_id: Mapped[int | None] = mapped_column(BigInteger)
    is_silent: Mapped[bool] = mapped_column(Boolean)
    priority: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)
    buttons: Mapped[list[list[dict[str, str]]]] = mapped_column(JSONB)
    wanted: Mapped[int] = mapped_column(Integer)
    sent: Mapped[int] = mapped_column(Integer)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    reply_to: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    not_before_ms: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    claimed_by: Mapped[str] = mapped_column(Text, server_default="")
    claimed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    changed_ms: Mapped[int] = mapped_column(BigInteger)


class ChatPace(Base):
    """How fast a chat is spoken to by all bots together; see bot/store/paces.py. Times are Postgres' own.

    second_at, minute_at: when what was said would have been said at Telegram's pace. frozen_until: a 429 asks for it.
    """

    __tablename__ = "chat_paces"
    chat_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    second_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    minute_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    frozen_until: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class ChatMove(Base):
    """A group that became a supergroup: settings still name the old id."""

    __tablename__ = "chat_moves"
    old_chat_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    new_chat_id: Mapped[int] = mapped_column(BigInteger)


class Milestone(Base):
    """What happened once and must not happen again after a restart (`born`, `greeted`, `watched`), or when it last did
    (`probed`, `seen:SOURCE`).
    """

    __tablename__ = "milestones"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)


def _now() -> Mapped[datetime]:
    return mapped_column(DateTime(timezone=True), server_default=func.now())


class Person(Base):
    """Somebody who has spoken to the bot, so that /grant can be given a @username."""

    __tablename__ = "people"
    __table_args__ = (Index("people_username", text("lower(username)")),)
    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    username: Mapped[str] = mapped_column(Text, server_default="")
    name: Mapped[str] = mapped_column(Text, server_default="")
    seen_at: Mapped[datetime] = _now()


class Grant(Base):
    """The role an admin gave somebody; TELEGRAM_ADMINS need none."""

    __tablename__ = "grants"
    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    role: Mapped[str] = mapped_column(Text)
    granted_by: Mapped[str] = mapped_column(Text, server_default="")
    granted_at: Mapped[datetime] = _now()


class LoginTicket(Base):
    """A login link, by its hash. Good for one purpose, once: until used_at is set."""

    __tablename__ = "login_tickets"
    hash: Mapped[str] = mapped_column(Text, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = _now()
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ApiToken(Base):
    """A token for scripts, by its hash. One that was revoked stays, so that the list tells of it."""

    __tablename__ = "api_tokens"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text, unique=True)
    created_by: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = _now()
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class EndedSession(Base):
    """One session (`session:ID`) or everybody's of one person (`user:ID`), over since `at`; kept until none can be."""

    __tablename__ = "ended_sessions"
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = _now()
    keep_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


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


class ActionRow(Base):
    """What somebody lets the bridge do; see bot/actions/action.py.

    claimed_by: the process that is at it, until claimed_until.
    chat_id, topic_id: where it was asked for. next_offset: of the jobs topic, see Action.offset.
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
    next_offset: Mapped[int | None] = mapped_column(BigInteger)
    claimed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ActionJob(Base):
    """What became of one job of an action."""

    __tablename__ = "action_jobs"
    action_id: Mapped[int] = mapped_column(ForeignKey("actions.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[str] = mapped_column(Text, primary_key=True)
    fate: Mapped[str] = mapped_column(Text)


class ViewRow(Base):
    """A page as somebody likes to see it. owner: see tocsin/access.py. is_shared: everybody sees it."""

    __tablename__ = "views"
    __table_args__ = (Index("views_owner", "owner"),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text)
    owner_name: Mapped[str] = mapped_column(Text)
    query: Mapped[str] = mapped_column(Text)
    is_home: Mapped[bool] = mapped_column(Boolean)
    is_shared: Mapped[bool] = mapped_column(Boolean)
    changed_at: Mapped[datetime] = _now()


class AuditRow(Base):
    """Who did what to what, why if they said so, and what came of it.

    request_id and digest: of an action, so that it is told once.
    """

    __tablename__ = "audit"
    __table_args__ = (Index("audit_at", "at"),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime] = _now()
    user_id: Mapped[str] = mapped_column(Text, server_default="")
    name: Mapped[str] = mapped_column(Text, server_default="")
    role: Mapped[str] = mapped_column(Text, server_default="")
    action: Mapped[str] = mapped_column(Text, server_default="")
    target: Mapped[str] = mapped_column(Text, server_default="")
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    address: Mapped[str] = mapped_column(Text, server_default="")
    request_id: Mapped[str | None] = mapped_column(Text, unique=True)
    digest: Mapped[str] = mapped_column(Text, server_default="")
    reason: Mapped[str] = mapped_column(Text, server_default="")


class LeaseRow(Base):
    """What only one bot may do at a time. fence: how often it has changed hands; until: by Postgres' clock."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[str] = mapped_column(Text)
    fence: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SubscriptionRow(Base):
    """What a chat or topic has asked to hear of, by /here. env, source, queue: globs.

    shows_data: whether payloads and log lines of these queues may be shown there.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index("subscriptions_scope", "chat_id", text("coalesce(topic_id, 0)"), "env", "source", "queue", unique=True),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    chat_id: Mapped[int] = mapped_column(BigInteger)
    topic_id: Mapped[int | None] = mapped_column(BigInteger)
    env: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(Text)
    is_silent: Mapped[bool] = mapped_column(Boolean)
    shows_data: Mapped[bool] = mapped_column(Boolean)
    by_id: Mapped[int] = mapped_column(BigInteger)
    by_name: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = _now()


class ShiftRow(Base):
    """Somebody took call, or was given it; the newest one counts. See bot/routing/duty.py."""

    __tablename__ = "shifts"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    from_ms: Mapped[int] = mapped_column(BigInteger)
    until_ms: Mapped[int | None] = mapped_column(BigInteger)
    by_name: Mapped[str] = mapped_column(Text)


class RotaRow(Base):
    """Who is on call from a minute of the week on."""

    __tablename__ = "rota"
    minute: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)


class DispatchRow(Base):
    """The outbox of channels other than Telegram: one thing to tell one channel. See bot/delivery/channels.py.

    subject: an incident's episode, or a storm. state: waiting, sent, or dead: the channel refuses it, `note` says why.
    """

    __tablename__ = "dispatches"
    __table_args__ = (
        UniqueConstraint("channel", "subject", "what", name="dispatches_once"),
        Index("dispatches_due", "channel", "id", postgresql_where=text("state = 'waiting'")),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    channel: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(Text)
    told: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    note: Mapped[str] = mapped_column(Text, server_default="")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    not_before_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    claimed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    changed_ms: Mapped[int] = mapped_column(BigInteger)
