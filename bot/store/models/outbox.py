"""What is to be told, where, and how fast: Telegram's outbox, that of other channels, and chats."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bot.store.models.base import Base, now


class Card(Base):
    """The outbox: one message in one chat, kept up to date. Due while wanted > sent.

    text is always the newest wanted one, so edits that pile up coalesce. message_id: None until Telegram took it.
    state: live; dead = can never arrive, `note` says why; closed = somebody removed the message, it came too late, or
    who reads it was revoked. A live card with a note waits for its chat to let us in again. failures: tries in vain
    since the last that was not.
    topic_id: where it was meant for; in_general: that topic is gone, so it is in the chat's General topic.
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
    in_general: Mapped[bool] = mapped_column(Boolean, server_default="false")
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


class ChatPace(Base):
    """How fast a chat is spoken to by all bots together; see bot/store/paces.py. Times are Postgres' own.

    second_at, minute_at: when what was said would have been said at Telegram's pace. frozen_until: a 429 asks for it.
    """

    __tablename__ = "chat_paces"
    chat_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    second_at: Mapped[datetime] = now()
    minute_at: Mapped[datetime] = now()
    frozen_until: Mapped[datetime] = now()


class ChatMove(Base):
    """A group that became a supergroup: settings still name the old id."""

    __tablename__ = "chat_moves"
    old_chat_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    new_chat_id: Mapped[int] = mapped_column(BigInteger)


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
    at: Mapped[datetime] = now()
