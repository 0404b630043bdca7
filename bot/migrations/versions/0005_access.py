"""Who may do what: grants, login links, API tokens, sessions that were ended, and the audit of it all."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

NOW = sa.text("now()")


def _text(name: str, *, default: str | None = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def _time(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=NOW if now else None)


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("username"),
        _text("name"),
        _time("seen_at", now=True),
    )
    op.create_index("people_username", "people", [sa.text("lower(username)")])
    op.create_table(
        "grants",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("role", default=None),
        _text("granted_by"),
        _time("granted_at", now=True),
    )
    op.create_table(
        "login_tickets",
        sa.Column("hash", sa.Text, primary_key=True),
        *(_text(name, default=None) for name in ("purpose", "user_id", "name", "role")),
        _time("created_at", now=True),
        _time("expires_at"),
        _time("used_at", nullable=True),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Text, primary_key=True),
        *(_text(name, default=None) for name in ("name", "role")),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        _text("created_by"),
        _time("created_at", now=True),
        _time("expires_at", nullable=True),
        _time("revoked_at", nullable=True),
    )
    op.create_table(
        "ended_sessions",
        sa.Column("subject", sa.Text, primary_key=True),
        _time("at", now=True),
        _time("keep_until"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger, primary_key=True),
        _time("at", now=True),
        *(_text(name) for name in ("user_id", "name", "role", "action", "target", "outcome", "address")),
        sa.Column("request_id", sa.Text, unique=True),
        _text("digest"),
    )
    op.create_index("audit_at", "audit", ["at"])
