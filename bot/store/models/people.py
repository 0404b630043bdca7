"""Who may do what, who is on call, and what was done."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, DateTime, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.store.models.base import Base, now


class Person(Base):
    """Somebody who has spoken to the bot, so that /grant can be given a @username."""

    __tablename__ = "people"
    __table_args__ = (Index("people_username", text("lower(username)")),)
    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    username: Mapped[str] = mapped_column(Text, server_default="")
    name: Mapped[str] = mapped_column(Text, server_default="")
    seen_at: Mapped[datetime] = now()


class Grant(Base):
    """The role an admin gave somebody; TELEGRAM_ADMINS need none."""

    __tablename__ = "grants"
    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    role: Mapped[str] = mapped_column(Text)
    granted_by: Mapped[str] = mapped_column(Text, server_default="")
    granted_at: Mapped[datetime] = now()


class LoginTicket(Base):
    """A login link, by its hash. Good for one purpose, once: until used_at is set."""

    __tablename__ = "login_tickets"
    hash: Mapped[str] = mapped_column(Text, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = now()
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
    created_at: Mapped[datetime] = now()
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class EndedSession(Base):
    """One session (`session:ID`) or everybody's of one person (`user:ID`), over since `at`; kept until none can be."""

    __tablename__ = "ended_sessions"
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = now()
    keep_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


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
    changed_at: Mapped[datetime] = now()


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


class AuditRow(Base):
    """Who did what to what, why if they said so, and what came of it.

    request_id and digest: of an action, so that it is told once.
    """

    __tablename__ = "audit"
    __table_args__ = (Index("audit_at", "at"),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime] = now()
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
