"""Acks, notes, silences, and messages in reply to others.

The release before this one does not know the columns, and can still write rows: those it must write have a default.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for column in (
        sa.Column("previous_by", sa.Text, nullable=False, server_default=""),
        sa.Column("acked_by", sa.BigInteger),
        sa.Column("acked_ms", sa.BigInteger),
        sa.Column("taken_by", sa.Text, nullable=False, server_default=""),
        sa.Column("silenced_until_ms", sa.BigInteger),
        sa.Column("hidden", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("told_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("told_count", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("workers", JSONB, nullable=False, server_default="{}"),
        sa.Column("notes", JSONB, nullable=False, server_default="[]"),
        sa.Column("rule", sa.Text, nullable=False, server_default=""),
    ):
        op.add_column("incidents", column)
    op.execute("UPDATE incidents SET told_ms = touched_ms, told_count = count")
    op.drop_index("incidents_firing", "incidents")
    op.create_index("incidents_open", "incidents", ["touched_ms"], postgresql_where=sa.text("phase <> 'resolved'"))
    op.add_column("cards", sa.Column("reply_to", sa.BigInteger))
    op.create_index(
        "cards_message", "cards", ["chat_id", "message_id"], postgresql_where=sa.text("message_id IS NOT NULL")
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("is_maintenance", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("env", "source", "queue", "fingerprint", "reason")),
        sa.Column("by_id", sa.BigInteger, nullable=False),
        sa.Column("by_name", sa.Text, nullable=False),
        sa.Column("from_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("hidden", sa.BigInteger, nullable=False),
        sa.Column("kinds", JSONB, nullable=False),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("topic_id", sa.BigInteger),
    )
    op.create_index("silences_on", "silences", ["until_ms"], postgresql_where=sa.text("ended_ms IS NULL"))
